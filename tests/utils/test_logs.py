"""What mmengine and the libraries above it print, log and warn."""

import logging
import warnings

import mmengine.logging

from mmscale.utils.logs import quiet_imports


def test_debugging_for_no_logger_is_not_printed(capsys, log):
    with quiet_imports():
        mmengine.logging.print_log('an optional import', level=logging.DEBUG)
        mmengine.logging.print_log('a result')
        mmengine.logging.print_log('a line', logger='current')
    printed = capsys.readouterr().out
    assert 'a result' in printed
    assert 'optional' not in printed
    assert log == ['a line']
    mmengine.logging.print_log('an optional import', level=logging.DEBUG)
    assert capsys.readouterr().out == 'an optional import\n'


def test_a_metric_that_nobody_asked_for_does_not_warn():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        with quiet_imports():
            warnings.warn('faster_coco_eval is not installed, metrics will not', stacklevel=1)
            warnings.warn('another', stacklevel=1)
    assert [str(warning.message) for warning in seen] == ['another']
