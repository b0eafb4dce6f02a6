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
    ],
)
def test_errors_are_one_line(arguments, message):
    with pytest.raises(SystemExit) as error:
        tool('benchmark')(arguments)
    assert message in str(error.value)
