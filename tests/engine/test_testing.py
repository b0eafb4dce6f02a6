"""Testing a checkpoint: metrics, files of predictions, pictures, classes that must fit."""

import json
import shutil

import pytest
from commands import tool
from mmengine.config import Config
from runs import DETECTOR, SHORT, as_overrides, log_of, run_classifier

from mmscale.engine.config import load_config
from mmscale.engine.testing import evaluate
from mmscale.reports.coco import FIGURES, coco_figures


def test_testing_writes_coco_results_and_pictures(detector_run, shapes, tmp_path):
    out = tmp_path / 'results.json'
    options = [*SHORT, 'test_evaluator.classwise=True']
    tool('test')(
        [DETECTOR, str(detector_run / 'iter_4.pth'), '--out', str(out), '--show-dir', 'pictures']
        + ['--work-dir', str(tmp_path), '--cfg-options', *options]
    )
    figures = coco_figures(
        shapes / 'annotations/instances_val.json', tmp_path / 'results.bbox.json'
    )
    assert list(figures) == [name for name, _ in FIGURES]
    assert all(-1 <= value <= 1 for value in figures.values())
    assert len(list(tmp_path.glob('*/pictures/*'))) == 6


def test_testing_writes_coco_results_with_the_faster_metric_too(detector_run, tmp_path):
    pytest.importorskip('hotcoco')
    options = [*SHORT, 'test_evaluator.type=mmscale.FasterCocoMetric']
    tool('test')(
        [DETECTOR, str(detector_run / 'iter_4.pth'), '--out', str(tmp_path / 'results.json')]
        + ['--work-dir', str(tmp_path), '--cfg-options', *options]
    )
    assert json.loads((tmp_path / 'results.bbox.json').read_text())


def test_the_config_in_the_work_dir_stays_that_of_the_training(detector_run, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(detector_run, work_dir)
    (written,) = work_dir.glob('*.py')
    before = written.read_text()
    evaluate(DETECTOR, str(work_dir), work_dir=work_dir, overrides=as_overrides(SHORT))
    assert written.read_text() == before
    kept, own = Config.fromfile(written), load_config(DETECTOR)
    assert kept.visualizer == own.visualizer  # of which mmdet's tools read the name
    assert kept.load_from is None
    (tested,) = work_dir.glob(f'*/{written.name}')
    assert Config.fromfile(tested).load_from.endswith('iter_4.pth')


def test_testing_with_flips_and_a_pickle(detector_run, tmp_path):
    out = tmp_path / 'results.pkl'
    tool('test')(
        [DETECTOR, str(detector_run / 'iter_4.pth'), '--out', str(out), '--tta']
        + ['--work-dir', str(tmp_path), '--cfg-options', *SHORT]
    )
    assert out.stat().st_size > 0


SAMPLER = dict(type='AspectRatioBatchSampler', batch_size=2)


@pytest.mark.parametrize(
    'change',
    [
        {'default_hooks.timer': None},
        {'test_dataloader.batch_sampler': SAMPLER, 'test_dataloader.batch_size': 1},
    ],
    ids=['no timer', 'batches of a sampler'],
)
def test_without_times_or_batches_there_is_no_throughput(detector_run, tmp_path, change):
    checkpoint = str(detector_run / 'iter_4.pth')
    overrides = {**as_overrides(SHORT), **change}
    metrics = evaluate(DETECTOR, checkpoint, work_dir=tmp_path, overrides=overrides)
    assert 'images_per_second' not in metrics


def test_out_wants_a_known_suffix(detector_run):
    with pytest.raises(SystemExit, match="'results.txt' must be NAME.pkl"):
        tool('test')([DETECTOR, str(detector_run / 'iter_4.pth'), '--out', 'results.txt'])


def test_testing_reports_accuracy_speed_and_the_worst_classes(classifier_run, tmp_path):
    run_classifier('test', classifier_run / 'epoch_2.pth', '--work-dir', tmp_path)
    log = log_of(tmp_path)
    for word in ('accuracy/top1', 'accuracy/top5', 'worst/recall', 'images_per_second'):
        assert word in log
    assert 'Classes that are recognised least:' in log
    assert 'taken for' in log


def test_other_classes_are_not_scored(classifier_run, shapes, tmp_path):
    renamed = tmp_path / 'classes'
    shutil.copytree(shapes / 'classes', renamed)
    for split in ('train', 'val'):
        (renamed / split / 'circle').rename(renamed / split / 'zircle')
    checkpoint = classifier_run / 'epoch_2.pth'
    options = [f'test_dataloader.dataset.data_root={renamed}']
    with pytest.raises(SystemExit, match="'circle'"):
        run_classifier('test', checkpoint, '--work-dir', tmp_path / 'a', options=options)
