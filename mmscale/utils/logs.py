"""mmengine's loggers."""

import contextlib
import logging
from collections.abc import Iterator

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
