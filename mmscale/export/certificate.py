"""Whether a file in 8 bits is worth having: its figures on the test set, and its time."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.export.quantization import picture_inputs
from mmscale.exported.files import ExportedFile

MOST_LOST = 0.5  # points of a hundred, of each figure
ROUNDS = 15  # in which the two files are timed in turns
# By the metrics' names of them, with the factor that makes points of a hundred.
FIGURES = {
    'coco/bbox_mAP': 100,
    'coco/segm_mAP': 100,
    'pascal_voc/mAP': 100,
    'accuracy/top1': 1,
    'mIoU': 1,
}


class Certificate(NamedTuple):
    """What became of a file in 8 bits.

    Attributes:
        figures (dict[str, tuple[float, float]]): Of the test set, in points of a hundred, in
            float32 and in 8 bits.
        milliseconds (tuple[float, float]): Medians of a call with one picture.
    """

    figures: dict[str, tuple[float, float]]
    milliseconds: tuple[float, float]

    @property
    def kept(self) -> bool:
        """Whether 8 bits lose at most 0.5 points of each figure, and are faster."""
        lost = max(before - after for before, after in self.figures.values())
        return lost <= MOST_LOST and self.milliseconds[1] < self.milliseconds[0]

    def __str__(self) -> str:
        told = [f'{name} {a:.2f} to {b:.2f}' for name, (a, b) in self.figures.items()]
        told.append('{:.1f} to {:.1f} ms'.format(*self.milliseconds))
        end = (
            'the file is in 8 bits'
            if self.kept
            else f'the file stays in float32 (8 bits may lose {MOST_LOST} and have to be faster)'
        )
        return f'{", ".join(told)}: {end}'


def certify(
    files: Sequence[ExportedFile],
    config: str,
    cfg: Config,
    picture: str,
    work_dir: Path,
    overrides: Mapping[str, Any] | None = None,
) -> Certificate:
    """Test and time a file in float32 and the same in 8 bits.

    Args:
        files (Sequence[ExportedFile]): These two.
        config (str): Whose test set it is.
        cfg (mmengine.Config): With the test pipeline of the files.
        picture (str): That they are timed with.
        work_dir (Path): Where the tests write their logs.
        overrides (dict, optional): As in :func:`mmscale.engine.testing.evaluate`.

    Raises:
        UserError: If the test set cannot be read, or its metrics have none of `FIGURES`.
    """
    found = [
        evaluate(config, str(file.path), work_dir=work_dir, overrides=overrides) for file in files
    ]
    figures = {
        name: (found[0][name] * factor, found[1][name] * factor)
        for name, factor in FIGURES.items()
        if name in found[0]
    }
    if not figures:
        raise UserError(
            f'--int8: the test of {config} gives {sorted(found[0])}, and none of '
            f'{list(FIGURES)}, by which 8 bits are judged'
        )
    return Certificate(figures, _milliseconds(files, picture_inputs(files[0], cfg)(picture)))


def _milliseconds(files, arrays):
    """Medians of the files' calls, which take turns."""
    spent: list[list[float]] = [[] for _ in files]
    for turn in range(ROUNDS + 1):
        for file, times in zip(files, spent):
            start = time.perf_counter()
            file.run(*arrays)
            if turn:  # the first one is slower
                times.append(1000 * (time.perf_counter() - start))
    before, after = map(statistics.median, spent)
    return before, after
