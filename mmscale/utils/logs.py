"""mmengine's loggers."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

import mmengine.logging
from mmengine.logging import MMLogger


@contextlib.contextmanager
def warnings_only() -> Iterator[None]:
    """Quiet inside: mmengine lists every parameter that it initialises, hundreds of lines."""
    loggers = [MMLogger.get_current_instance(), *MMLogger._instance_dict.values()]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Inside, the maintained mmdet is imported without lines that mislead.

    A message of level DEBUG that is for no logger is not printed, which mmengine's ``print_log``
    does whatever its level. That metrics will not be computed without faster_coco_eval is true of
    one metric that has to be asked for, and does not warn.
    """
    original = mmengine.logging.print_log

    def print_log(msg, logger=None, level=logging.INFO):
        if logger is not None or level > logging.DEBUG:
            original(msg, logger, level)

    mmengine.logging.print_log = print_log
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'faster_coco_eval is not installed')
            yield
    finally:
        mmengine.logging.print_log = original


@contextlib.contextmanager
def warnings_to_file() -> Iterator[None]:
    """Python's warnings of the libraries below go to the log's file, each once, and no further.

    Those that come before there is such a file wait for it; without any they are shown at the end.
    """
    seen: set[tuple[type, str]] = set()
    waiting: list[str] = []

    def keep(message, category, filename, lineno, file=None, line=None):
        if (category, str(message)) not in seen:
            seen.add((category, str(message)))
            waiting.append(warnings.formatwarning(message, category, filename, lineno, ''))
            _write(waiting)

    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.showwarning = keep
        try:
            yield
        finally:
            _write(waiting)
            warnings.showwarning = shown
            for text in waiting:
                print(text, end='', file=sys.stderr)


def _write(texts):
    """Move texts to the file of the current log, if there is one."""
    logger = MMLogger.get_current_instance()
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    while files and texts:
        text = texts.pop(0).rstrip()
        record = logger.makeRecord(logger.name, logging.WARNING, '', 0, text, (), None)
        for handler in files:
            handler.handle(record)
