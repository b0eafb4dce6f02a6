"""Runs are compared; logs that cannot be are named."""

import json
import shutil

import cv2
import pytest
from commands import tool
from runs import scalars

from mmscale.reports import curves


def test_runs_are_compared(detector_run, tmp_path, capsys):
    out = tmp_path / 'comparison.png'
    without_weights = shutil.ignore_patterns('*.pth')
    again = shutil.copytree(detector_run, tmp_path / 'again', ignore=without_weights)
    command = [f'a={detector_run},{again}', f'_$b_1$={detector_run}', '--out', str(out)]
    tool('compare_runs')(command)
    value = next(line['coco/bbox_mAP'] for line in scalars(detector_run) if 'coco/bbox_mAP' in line)
    lines = capsys.readouterr().out.splitlines()
    assert all(word in lines[0] for word in ('a:', f'{value:.3f} ± 0.000', '2 runs')), lines
    assert all(word in lines[1] for word in ('_$b_1$:', f'{value:.3f}', '1 run')), lines
    height, width = cv2.imread(str(out)).shape[:2]
    assert width > 3 * height  # loss, metric and where it ends
    for wrong, words in (
        (['a'], "'a' must be NAME=PATH"),
        (['=a'], "'=a' must be NAME=PATH"),
        (['a=b,'], "'a=b,' must be NAME=PATH"),
        (['a=b,b'], "'a=b,b'.*twice"),
        (['a=b', 'a=c'], "'a'.*twice"),
        ([f'a={tmp_path}/no'], '/no'),
        ([f'a={detector_run}', '--metric', 'top1'], "'top1'.*'coco/bbox_mAP'"),
        ([f'a={detector_run}', '--out', 'x.jpg'], "'x.jpg'.*[.]png"),
        ([f'a={detector_run}', '--out', 'no/x.png'], "'no'.*missing"),
    ):
        with pytest.raises(SystemExit, match=words):
            tool('compare_runs')(wrong)


def write_log(work_dir, name, lines):
    path = work_dir / name / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


def test_logs_that_cannot_be_compared_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = dict(top1=1.0, step=10)
    for number, (text, words) in enumerate(
        (
            (f'{{"top1": 2.0, "st\n{json.dumps(good)}\n', 'line 1 of .*log'),
            (f'[1]\n{json.dumps(good)}\n', 'line 1 of'),
            (f'\n{json.dumps(good)}\n', 'line 1 of'),
            ('{"top1": NaN, "step": 10}\n', "'top1'.*nan"),
            ('{"top1": null, "step": 10}\n', "'top1'.*None"),
        )
    ):
        write_log(tmp_path / f'{number}', 'log', []).write_text(text)
        with pytest.raises(SystemExit, match=words):
            tool('compare_runs')([f'a={number}', '--metric', 'top1'])
    assert not list(tmp_path.glob('*.png'))


def test_a_killed_run_is_compared_up_to_where_it_was_cut(tmp_path, log, capsys):
    lines = [dict(top1=1.0, step=10), dict(top1=2.0, step=20)]
    write_log(tmp_path / 'whole', 'log', lines)
    cut = write_log(tmp_path / 'cut', 'log', lines[:1])
    cut.write_text(cut.read_text() + '{"top1": 2.0, "st')
    runs = f'a={tmp_path}/whole,{tmp_path}/cut'
    tool('compare_runs')([runs, '--metric', 'top1', '--out', str(tmp_path / 'x.png')])
    assert all(word in log.with_word('different') for word in ("'a'", '[20, 10]')), log
    assert '1.500 ± 0.707 (2 runs' in capsys.readouterr().out


def test_a_new_run_in_an_old_folder_counts_alone(tmp_path):
    write_log(tmp_path, '1', [dict(top1=float(step), step=step) for step in (10, 20, 30)])
    write_log(tmp_path, '2', [dict(top1=7.0, step=10)])
    assert curves.scalars(tmp_path, 'top1') == {10: 7.0}


def test_validations_counted_in_epochs_are_beside_the_losses(tmp_path):
    logs = {
        'first': [
            dict(loss=3.0, epoch=1, iter=100, step=100),
            dict(top1=40.0, step=1),
            dict(loss=2.0, epoch=2, iter=200, step=200),
        ],
        'resumed': [dict(loss=2.5, epoch=2, iter=200, step=200), dict(top1=60.0, step=2)],
    }
    for name, lines in logs.items():
        write_log(tmp_path, name, lines)
    assert curves.scalars(tmp_path, 'loss') == {100: 3.0, 200: 2.5}
    assert curves.scalars(tmp_path, 'top1') == {100: 40.0, 200: 60.0}
