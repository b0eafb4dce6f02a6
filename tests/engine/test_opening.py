"""What a run says before and while it trains, and what goes to its log's file alone."""

import warnings

import pytest
from mmengine.logging import MMLogger
from runs import log_of, run_classifier

from mmscale.utils.logs import warnings_to_file


def lines_of(run):
    """The six lines, by their first word."""
    said = [line.partition(' - INFO - ')[2] for line in log_of(run).splitlines()]
    names = ('data', 'model', 'batch', 'rate', 'length', 'results')
    found = [line for line in said if line[:9].strip() in names and line[8:9] == ' ']
    assert [line.split()[0] for line in found[:6]] == list(names)
    return {line.split()[0]: line[9:] for line in found[:6]}


def test_a_detector_says_what_it_is_about_to_do(detector_run):
    said = lines_of(detector_run)
    assert said['data'] == (
        '12 pictures to train on, 8 classes (circle, square, triangle, star, ...); 6 to validate on'
    )
    assert said['model'].startswith('FasterRCNN, 4.4 M parameters; ReXNet: 7.4 G multiply-adds')
    assert said['batch'] == '2 pictures a step, on cpu'
    assert said['rate'] == 'AdamW, learning rate 0.0015 (2 rates, from 0.000375)'
    assert said['length'] == '4 steps; validation every 4 steps'
    assert said['results'].startswith(str(detector_run))


def test_a_classifier_says_it_too(classifier_run):
    said = lines_of(classifier_run)
    assert said['data'].startswith('32 pictures to train on, 8 classes')
    assert said['model'].endswith('G multiply-adds at 64 x 64')
    assert said['length'] == '8 steps (2 epochs of 4); validation every epoch'


def test_listings_are_for_the_file_alone(shapes, tmp_path, capfd):
    run_classifier('train', '--work-dir', tmp_path)
    shown, kept = ''.join(capfd.readouterr()), log_of(tmp_path)
    for listing in ('System environment:', 'Config:', 'Hooks will be executed'):
        assert listing in kept
        assert listing not in shown
    assert 'data     32 pictures to train on' in shown


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / 'run.log'
    MMLogger.get_instance(str(tmp_path), log_file=str(path))
    yield path
    for handler in MMLogger._instance_dict.pop(str(tmp_path)).handlers:
        handler.close()


def test_warnings_go_to_the_file_once(log_file, capfd):
    with warnings_to_file():
        for _ in range(3):
            warnings.warn('this is old', DeprecationWarning, stacklevel=1)
        warnings.warn('this is slow', UserWarning, stacklevel=1)
    text = log_file.read_text()
    assert text.count('this is old') == text.count('this is slow') == 1
    assert 'this is' not in ''.join(capfd.readouterr())


def test_without_a_file_warnings_are_shown(monkeypatch, capfd):
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: MMLogger('none'))
    with warnings_to_file():
        warnings.warn('this is old', UserWarning, stacklevel=1)
    assert 'this is old' in capfd.readouterr().err
