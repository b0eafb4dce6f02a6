"""The benchmark's command: one run, targets, errors of one line."""

import json

import pytest
from commands import targets, tool

from mmscale import benchmark
from mmscale.benchmark import Case


def test_one_run_of_the_tool(capsys, tmp_path):
    plot = tmp_path / 'plot.png'
    shapes = ['--shape', '1x64x64', '--shape', '2x64x64']
    tool('benchmark')(
        ['rexnet-lite-100', 'mobilenet-v2:fused', *shapes]
        + ['--rounds', '1', '--json', '--plot', str(plot)]
    )
    result = json.loads(capsys.readouterr().out)
    assert [(row['case'], row['shape']) for row in result['rows']] == [
        ('rexnet-lite-100:eager', [1, 64, 64]),
        ('mobilenet-v2:fused', [1, 64, 64]),
        ('rexnet-lite-100:eager', [2, 64, 64]),
        ('mobilenet-v2:fused', [2, 64, 64]),
    ]
    assert all(0 < row['best_ms'] <= row['ms'] for row in result['rows'])
    assert result['machine']['versions']['torch']
    assert result['machine']['copy_gbs'] > 0
    assert plot.read_bytes().startswith(b'\x89PNG')


def test_a_shape_that_cannot_be_run_loses_nothing(capsys):
    far = '1000000x1000000x1000000'
    tool('benchmark')(
        ['rexnet-lite-100', '--shape', '1x64x64', '--shape', far, '--rounds', '1', '--json']
    )
    first, second = json.loads(capsys.readouterr().out)['rows']
    assert first['ms'] > 0
    assert second['ms'] is None
    assert f'--shape {far}' in second['note']


def test_every_target_names_cases_that_exist():
    for target in targets()['TARGETS'].values():
        for text in (*target.ours, *target.theirs):
            case = Case.parse(text)
            assert not target.training or case.form in benchmark.TRAINED


def test_switching_and_evaluation_targets():
    pytest.importorskip('hotcoco')
    result = targets()['coco_evaluation'](images=50, detections=20)
    assert result['difference'] < 1e-4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'nothing to do'),
        (['rexnet'], "'rexnet' is unknown; choose from"),
        (['rexnet-100:fast'], "'fast' is unknown; choose from"),
        (['rexnet-100', '--shape', '224'], "'224' must be NxHxW"),
        (['--target', 'moon'], "'moon' is unknown; choose from"),
        (['rexnet-100', '--backbone', 'ScaleNet'], "goes with configs, and 'rexnet-100' is none"),
        (['rexnet-100', '--plot', 'P.xyz'], "'P.xyz' must end in .png, .jpg"),
        (['rexnet-100', '--plot', 'P'], "'P' must end in .png, .jpg"),
        (['rexnet-100', '--formats', 'all,fused'], "'all' stands alone"),
        (['rexnet-100', '--formats', 'fused,fast'], "'fast' is unknown; choose from ('all', "),
    ],
)
def test_errors_are_one_line(arguments, message):
    with pytest.raises(SystemExit) as error:
        tool('benchmark')(arguments)
    assert message in str(error.value)


@pytest.fixture
def timed(monkeypatch):
    """What the benchmark is asked for, without the work."""
    given = {}

    def run(cases, shapes, **options):
        given.update(cases=cases, **options)
        rows = [dict(case=str(Case.parse(case)), shape=[1, 64, 64], ms=1.0) for case in cases]
        machine = dict(processor='', threads=1, gpu=None, versions=dict(torch=''))
        return dict(machine=machine, rows=rows, profiles=[])

    monkeypatch.setattr(benchmark, 'run', run)
    return given


@pytest.mark.parametrize(
    ('text', 'forms'),
    [
        ('all', benchmark.EXACT),
        (' all ', benchmark.EXACT),
        ('eager, native', ['eager', 'native']),
    ],
)
def test_blanks_between_forms(timed, text, forms):
    tool('benchmark')(['rexnet-100', '--formats', text])
    assert timed['formats'] == forms


def test_a_config_with_another_backbone_has_a_name(timed, capsys):
    tool('benchmark')(
        ['faster-rcnn-resnet-50:fused', 'rexnet-100', '--json']
        + ['--backbone', 'ReXNet', 'width_mult=1.3']
    )
    assert timed['cases'][0].endswith('.py:fused')
    assert [row['case'] for row in json.loads(capsys.readouterr().out)['rows']] == [
        'faster-rcnn-resnet-50 with ReXNet width_mult=1.3:fused', 'rexnet-100:eager'
    ]  # fmt: skip


def test_the_numbers_come_before_the_picture(timed, capsys, monkeypatch, tmp_path):
    def full(result, out):
        raise OSError('disk full')

    monkeypatch.setattr(benchmark, 'draw', full)
    with pytest.raises(OSError, match='disk full'):
        tool('benchmark')(['rexnet-100', '--json', '--plot', str(tmp_path / 'plot.png')])
    assert json.loads(capsys.readouterr().out)['rows']
