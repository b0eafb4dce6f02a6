"""The last test of a work dir, as ``mmscale test --report`` has kept it."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from mmscale.engine.keeping import FOLDER, FORMAT, RECORD
from mmscale.errors import UserError, first_line
from mmscale.utils.texts import parse_json

TASKS = ('detector', 'classifier', 'segmentor')


class Kept(NamedTuple):
    """A test that was kept.

    Attributes:
        work_dir (Path): Of the run.
        record (dict): What is in ``test.json``, see :mod:`mmscale.engine.keeping`.
    """

    work_dir: Path
    record: dict[str, Any]

    @property
    def task(self) -> str:
        """'detector', 'classifier' or 'segmentor'."""
        return self.record['task']

    def path(self, name: str) -> Path:
        """A file in the folder of the test."""
        return self.work_dir / FOLDER / name

    def read(self, name: str) -> Any:
        """What a JSON file in the folder of the test holds.

        Raises:
            UserError: If it is missing or broken.
        """
        return read_json(self.path(name))


def read_json(path: Path) -> Any:
    """What a JSON file of a test holds.

    Raises:
        UserError: If it is missing or broken.
    """
    try:
        with open(path, encoding='utf-8') as file:
            return parse_json(file.read())
    except OSError as error:
        raise UserError(
            f'{str(path)!r}, which the report is made of, cannot be read '
            f'({error.strerror}): test again with --report'
        ) from error
    except ValueError as error:
        raise UserError(
            f'{str(path)!r} is no JSON ({first_line(error)}): test again with --report'
        ) from error


def read_kept(work_dir: str | Path) -> Kept:
    """The last test that was kept in a work dir.

    Raises:
        UserError: If there is none, with how to make it.
    """
    folder = Path(work_dir)
    path = folder / FOLDER / RECORD
    if not path.is_file():
        if folder.is_file():
            raise UserError(f'{str(folder)!r} is a file: give the work dir of a test')
        what = f'has no {FOLDER}/{RECORD}' if folder.is_dir() else 'is missing'
        raise UserError(
            f'{str(folder)!r} {what}: a report is made of a test that was kept there; run '
            f'mmscale test CONFIG CHECKPOINT --work-dir {shlex.quote(str(folder))} --report'
        )
    record = read_json(path)
    if (
        not isinstance(record, dict)
        or record.get('format') != FORMAT
        or record.get('task') not in TASKS
    ):
        raise UserError(f'{str(path)!r} is not what this version keeps: test again with --report')
    return Kept(folder, record)
