"""Neuron structures of ScaleNet: how many output channels each scale of each block has (no torch).

Published are four; :mod:`mmscale.allocation` finds others by training a :func:`seed`.

A structure file is JSON::

    {"name": "scalenet50", "depth": 50, "scales": [1, 2, 4, 7],
     "rows": [[62, 9, 5, 12], ...],  // one row per block, one count per scale
     "source": "where it comes from"}

`depth` is a published depth (50, 101, 152) or a list with the blocks of each of the four stages.
"""

import json
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from mmscale.errors import UserError, is_whole
from mmscale.utils.files import written_aside
from mmscale.utils.texts import parse_json
from mmscale.utils.words import short

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SCALES = (1, 2, 4, 7)
LARGEST = 1 << 16  # count of neurons, pooling factor, number of blocks
PUBLISHED = ('scalenet50', 'scalenet50_light', 'scalenet101', 'scalenet152')
# Side of a stage's maps for a 224 px image; a scale's kernel is 3x3 where this is the larger.
STAGE_SIDES = (56, 28, 14, 7)
# A name, a path, a file's content, the rows alone; see load_structure.
StructureLike = str | Path | dict[str, Any] | Sequence | None
FOLDER = Path(__file__).parent / '.mim' / 'structures'


class Structure(NamedTuple):
    """A validated structure: `stages` holds, per stage, one row of counts per block."""

    name: str
    scales: tuple
    stages: tuple
    source: str

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(rows) for rows in self.stages)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each scale in all neurons."""
        totals = [sum(counts) for counts in zip(*(row for rows in self.stages for row in rows))]
        return tuple(total / sum(totals) for total in totals)

    def content(self) -> dict[str, Any]:
        """What its file holds, a dict."""
        published = [depth for depth, blocks in DEPTHS.items() if blocks == self.depths]
        return dict(
            name=self.name,
            depth=published[0] if published else list(self.depths),
            scales=list(self.scales),
            rows=[list(row) for rows in self.stages for row in rows],
            source=self.source,
        )


def stage_neurons(neurons: int | Sequence[int]) -> tuple[int, ...]:
    """Neurons of a block in each of the four stages, which is the budget that scales compete for.

    Args:
        neurons (int | Sequence[int]): Of the last stage's blocks, n: stage s has
            ``ceil(n / 2 ** (4 - s))``, as in all published structures; or of all four.

    Raises:
        UserError: If it is neither.
    """
    numbers = [neurons] if isinstance(neurons, int) else neurons
    fits = isinstance(numbers, (tuple, list)) and len(numbers) in (1, len(STAGE_SIDES))
    if not fits or not all(map(is_whole, numbers)):
        raise UserError(
            f'neurons {neurons!r} must be a positive integer, the neurons of a block in the last '
            f'stage, or {len(STAGE_SIDES)} of them, one for each stage'
        )
    if len(numbers) > 1:
        return tuple(numbers)
    return tuple(ceil(numbers[0] / 2**halvings) for halvings in (3, 2, 1, 0))


def seed(
    neurons: int | Sequence[int], depth: int | Sequence[int] = 50, scales: Sequence[int] = SCALES
) -> dict[str, Any]:
    """The structure to train for an allocation: every scale has all of its stage's neurons.

    Args:
        neurons (int | Sequence[int]): As in :func:`stage_neurons`.
        depth (int | Sequence[int]): 50, 101, 152, or blocks per stage.
        scales (Sequence[int]): Ascending pooling factors.

    Returns:
        dict: For ``ScaleNet(structure=...)``, in a config too.

    Raises:
        UserError: If an argument does not fit.
    """
    stages = [[n] * len(scales) for n in stage_neurons(neurons)]
    return _regular(f'seed of {neurons} neurons', stages, depth, scales)


def uniform(
    neurons: int | Sequence[int], depth: int | Sequence[int] = 50, scales: Sequence[int] = SCALES
) -> dict[str, Any]:
    """The structure in which all scales have the same share, to compare with.

    What does not divide evenly goes to the finer scales. Arguments and result: :func:`seed`.
    """
    scales, stages = _scales(scales, 'uniform'), []
    for count in stage_neurons(neurons):
        share, rest = divmod(count, len(scales))
        stages.append([share + (index < rest) for index in range(len(scales))])
    return _regular(f'{neurons} neurons, uniform', stages, depth, scales)


def write_structure(structure: Structure, out: str | Path) -> None:
    """Write a :class:`Structure` to a .json file, one row a line, whole or not at all."""
    content = structure.content()
    rows = ',\n  '.join(json.dumps(row) for row in content.pop('rows'))
    fields = [f' {json.dumps(key)}: {json.dumps(value)}' for key, value in content.items()]
    fields.insert(-1, f' "rows": [\n  {rows}\n ]')
    with written_aside(out) as temporary:
        temporary.write_text('{\n' + ',\n'.join(fields) + '\n}\n')


def _regular(name, stage_rows, depth, scales):
    """A structure whose stages have the same row in all of their blocks, as a file's content."""
    depths = _depths(depth, 'depth')
    stages = tuple((tuple(row),) * blocks for row, blocks in zip(stage_rows, depths))
    return Structure(name, _scales(scales, name), stages, 'mmscale.structures').content()


def names() -> list[str]:
    """Names of the structures in the package's folder: the published, and yours if you add any."""
    return sorted(path.stem for path in FOLDER.glob('*.json'))


def load_structure(structure: StructureLike, depth: int | Sequence[int] | None = None) -> Structure:
    """Read and check a structure.

    Args:
        structure (str | Path | dict | list | None): A name from :func:`names`, a path to a .json
            file, such a file's content, or the rows alone. A row has one count per scale; the
            authors' rows, which carry the stage's side at 224 px as a fifth number, are accepted
            too. None is the published structure of `depth`.
        depth (int | Sequence[int], optional): 50, 101, 152, or blocks per stage. Default: the
            structure's own, or 50 where that has none.

    Raises:
        UserError: If there is no such structure or depth, or if the rows do not fit.
    """
    if structure is None:
        structure = f'scalenet{_published(50 if depth is None else depth)}'
    if isinstance(structure, (str, Path, dict)):
        content = structure if isinstance(structure, dict) else _read(structure)
        _check_content(content, 'structure' if content is structure else f'structure {structure}')
        name, source = content['name'], content['source']
        scales, rows = content['scales'], content['rows']
        depths = _depths(content['depth'], name)
        if depth is not None and _depths(depth, 'depth') != depths:
            raise UserError(
                f'structure {name!r} has depth {content["depth"]}, which is not depth={depth!r}; '
                'leave depth out, or choose a structure of that depth'
            )
    else:
        name, source, scales, rows = 'rows', 'given as rows', SCALES, structure
        depths = _depths(50 if depth is None else depth, 'depth')
    scales = _scales(scales, name)
    return Structure(name, scales, _stages(rows, depths, scales, name), source)


def _published(depth):
    if not isinstance(depth, int) or depth not in DEPTHS:
        raise UserError(
            f'depth={depth!r} has no published structure; give structure=, or choose a depth '
            f'from {tuple(DEPTHS)}'
        )
    return depth


def _read(structure):
    path = Path(structure)
    if path.suffix != '.json':
        path = FOLDER / f'{structure}.json'
        if str(structure) not in names():
            raise UserError(
                f'structure {str(structure)!r} is unknown; choose from {names()}, or give a path '
                'to a .json file or the rows themselves'
            )
    try:
        content = parse_json(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise UserError(f'structure file {str(path)!r} cannot be read: {error.strerror}') from None
    except ValueError as error:
        raise UserError(f'structure file {str(path)!r} is not JSON: {error}') from None
    return content


def _check_content(content, where):
    keys = ('name', 'depth', 'scales', 'rows', 'source')
    missing = [k for k in keys if not isinstance(content, dict) or k not in content]
    if missing:
        raise UserError(f'{where} lacks {missing}; it needs {list(keys)}')
    unknown = [key for key in content if key not in keys]
    if unknown:
        raise UserError(f'{where} has unknown keys {short(unknown)}, not {list(keys)}')
    for key in ('name', 'source'):
        if not isinstance(content[key], str):
            raise UserError(f'{where}: {key} {short(content[key])} must be a text')


def _depths(depth, name):
    if isinstance(depth, int) and depth in DEPTHS:
        return DEPTHS[depth]
    fits = isinstance(depth, (tuple, list)) and len(depth) == len(STAGE_SIDES)
    if not fits or not all(map(_is_count, depth)):
        raise UserError(
            f'{name}: depth {short(depth)} does not exist; choose from {tuple(DEPTHS)}, or give '
            f'the blocks of each of the {len(STAGE_SIDES)} stages, such as (2, 2, 2, 2)'
        )
    return tuple(depth)


def _scales(scales, name):
    numbers = list(scales) if isinstance(scales, (tuple, list)) else []
    positive = all(map(_is_count, numbers))
    if not numbers or not positive or numbers != sorted(set(numbers)):
        raise UserError(
            f'{name}: scales {short(scales)} must be ascending positive integers, such as {SCALES}'
        )
    return tuple(numbers)


def _stages(rows, depths, scales, name):
    """Group the rows by stage, each checked."""
    if not isinstance(rows, (tuple, list)) or len(rows) != sum(depths):
        found = len(rows) if isinstance(rows, (tuple, list)) else short(rows)
        raise UserError(
            f'{name}: expected {sum(depths)} rows, one for each block of {depths}, found {found}'
        )
    stages, start = [], 0
    for side, depth in zip(STAGE_SIDES, depths):
        numbered = enumerate(rows[start : start + depth], start)
        stages.append(tuple(_row(row, side, scales, f'{name}: row {i}') for i, row in numbered))
        start += depth
    return tuple(stages)


def _row(row, side, scales, where):
    """One block's counts; the authors' fifth number, the stage's side, is checked and dropped."""
    counts = isinstance(row, (tuple, list)) and all(n == 0 or _is_count(n) for n in row)
    if not counts or any(type(n) is not int for n in row):
        raise UserError(
            f'{where}: {short(row)} must be a list of neuron counts, integers of 0 or more, at '
            f'most {LARGEST}'
        )
    if len(row) == len(scales) + 1:
        if row[-1] != side:
            raise UserError(
                f"{where}: {short(row)} has {row[-1]} as its last number, where the authors' rows "
                f'have the side of the map at 224 px, which is {side} in this stage'
            )
        row = row[:-1]
    if len(row) != len(scales):
        raise UserError(
            f'{where}: {short(row)} has {len(row)} counts; expected one for each scale of {scales}'
        )
    if sum(row) == 0:
        raise UserError(f'{where}: {short(row)} leaves the block without neurons; keep at least 1')
    return tuple(row)


def _is_count(value):
    return is_whole(value) and value <= LARGEST
