"""What mmengine and the libraries above it print, log and warn."""

import logging

import mmengine.logging

from mmscale.utils.logs import debug_unprinted


def test_debugging_for_no_logger_is_not_printed(capsys, log):
    with debug_unprinted():
        mmengine.logging.print_log('an optional import', level=logging.DEBUG)
        mmengine.logging.print_log('a result')
        mmengine.logging.print_log('a line', logger='current')
    printed = capsys.readouterr().out
    assert 'a result' in printed
    assert 'optional' not in printed
    assert log == ['a line']
    mmengine.logging.print_log('an optional import', level=logging.DEBUG)
    assert capsys.readouterr().out == 'an optional import\n'
