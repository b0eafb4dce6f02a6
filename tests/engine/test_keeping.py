"""What a test leaves for its report, and that the report says what the test said."""

import pytest
from commands import tool
from runs import DETECTOR, SHORT, as_overrides, run_classifier

from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.reports.kept import read_kept
from mmscale.reports.page import classifier as classifier_page
from mmscale.reports.page import detector as detector_page
from mmscale.reports.page import segmentor as segmentor_page


def kept_by_test(config, checkpoint, work_dir, **options):
    """The figures of a test, and what it kept."""
    folders = []
    metrics = evaluate(config, checkpoint, work_dir=work_dir, report=folders.append, **options)
    assert folders == [work_dir]
    return metrics, read_kept(work_dir)


def test_report_of_a_detector_says_what_the_test_said(detector_run, tmp_path):
    out = tmp_path / 'elsewhere.json'
    left = tmp_path / 'run/last_test/left.txt'  # by an earlier test
    left.parent.mkdir(parents=True)
    left.touch()
    options = as_overrides(SHORT)
    metrics, kept = kept_by_test(
        DETECTOR, str(detector_run / 'iter_4.pth'), tmp_path / 'run', overrides=options, out=out
    )
    study = detector_page.study(kept)
    figures = study.evaluations['bbox'].figures
    if 'coco/bbox_mAP' in metrics:  # mmdet has none where nothing is found
        assert figures['AP'] == pytest.approx(metrics['coco/bbox_mAP'], abs=1e-3)
    assert not left.exists()
    assert (tmp_path / 'elsewhere.bbox.json').exists()  # as --out alone would have it
    assert len(study.paths) == len(study.compared.images) == 6
    record = kept.record
    assert record['task'] == 'detector'
    assert record['cost']['params'] > 1e6
    assert record['classes'] == study.compared.names
    assert record['metrics'].keys() == metrics.keys()
    assert sum((study.trained_on or {}).values()) > 10


def test_report_of_a_classifier_says_what_the_test_said(classifier_run, tmp_path):
    pytest.importorskip('vl_convert')
    checkpoint = classifier_run / 'epoch_2.pth'
    run_classifier('test', checkpoint, '--work-dir', tmp_path, '--report')
    kept = read_kept(tmp_path)
    study = classifier_page.study(kept)
    top1 = kept.record['metrics']['accuracy/top1']
    assert 100 * study.right.mean() == pytest.approx(top1, abs=1e-3)
    worst = study.rates()['recall'].min()
    assert 100 * worst == pytest.approx(kept.record['metrics']['worst/recall'], abs=1e-3)
    assert (tmp_path / 'report.html').exists()


def test_report_of_a_segmentor_says_what_the_test_said(segmentor, tmp_path):
    config, checkpoint = segmentor
    metrics, kept = kept_by_test(str(config), str(checkpoint), tmp_path / 'run')
    study = segmentor_page.study(kept)
    rates = study.rates()
    ious = rates['IoU'][study.confusion.sum(1) > 0]
    assert 100 * study.confusion.trace() / study.confusion.sum() == pytest.approx(
        metrics['aAcc'], abs=0.01
    )
    assert len(ious) > 1
    assert all(kept.path(f'{p["maps"]}.truth.png').exists() for p in study.pictures)


def test_other_metrics_have_no_report(detector_run, tmp_path):
    options = {**as_overrides(SHORT), 'test_evaluator': dict(type='VOCMetric', _delete_=True)}
    with pytest.raises(UserError, match='has no CocoMetric'):
        evaluate(
            DETECTOR, str(detector_run / 'iter_4.pth'), work_dir=tmp_path, overrides=options,
            report=lambda folder: None,
        )  # fmt: skip
    assert not (tmp_path / 'last_test').exists()


def test_report_is_of_one_resolution(capsys):
    with pytest.raises(SystemExit):
        tool('test')([DETECTOR, 'x.pth', '--report', '--resolutions', '64'])
    assert 'leave --resolutions out' in capsys.readouterr().err
