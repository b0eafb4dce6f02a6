"""Neuron structures of ScaleNet: how many output channels each scale of each block has (no torch).

A structure file is JSON::

    {"name": "scalenet50", "depth": 50, "scales": [1, 2, 4, 7],
     "rows": [[62, 9, 5, 12], ...],  // one row per block, one count per scale
     "source": "where it comes from"}

`depth` is a published depth (50, 101, 152) or a list with the blocks of each of the four stages.
"""

import json
from pathlib import Path
from typing import NamedTuple

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SCALES = (1, 2, 4, 7)
# Side of a stage's maps for a 224 px image; a scale's kernel is 3x3 where this is the larger.
STAGE_SIDES = (56, 28, 14, 7)
FOLDER = Path(__file__).parent / '.mim' / 'structures'


class Structure(NamedTuple):
    """A validated structure: `stages` holds, per stage, one row of counts per block."""

    name: str
    scales: tuple
    stages: tuple
    source: str

    @property
    def depths(self):
        """Blocks of each stage."""
        return tuple(len(rows) for rows in self.stages)


def names():
    """Names of the structures that come with the package."""
    return sorted(path.stem for path in FOLDER.glob('*.json'))


def load_structure(structure, depth=None):
    """Read and check a structure.

    Args:
        structure (str | Path | list | None): A name from :func:`names`, a path to a .json file, or
            the rows themselves. A row has one count per scale; the authors' rows, which carry the
            stage's side at 224 px as a fifth number, are accepted too. None is the published
            structure of `depth`.
        depth (int | Sequence[int], optional): 50, 101, 152, or blocks per stage. Default: the
            structure's own, or 50 where that has none.

    Raises:
        ValueError: If there is no such structure or depth, or if the rows do not fit.
    """
    if structure is None:
        structure = f'scalenet{_published(50 if depth is None else depth)}'
    if isinstance(structure, (str, Path)):
        content = _read(structure)
        name, source = content['name'], content['source']
        scales, rows = content['scales'], content['rows']
        depths = _depths(content['depth'], name)
        if depth is not None and _depths(depth, 'depth') != depths:
            raise ValueError(
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
        raise ValueError(
            f'depth={depth!r} has no published structure; give structure=, or choose a depth '
            f'from {tuple(DEPTHS)}'
        )
    return depth


def _read(structure):
    path = Path(structure)
    if path.suffix != '.json':
        path = FOLDER / f'{structure}.json'
        if str(structure) not in names():
            raise ValueError(
                f'structure {str(structure)!r} is unknown; choose from {names()}, or give a path '
                'to a .json file or the rows themselves'
            )
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f'structure file {str(path)!r} cannot be read: {error.strerror}') from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f'structure file {str(path)!r} is no JSON: {error}') from None
    keys = ('name', 'depth', 'scales', 'rows', 'source')
    missing = [k for k in keys if not isinstance(content, dict) or k not in content]
    if missing:
        raise ValueError(f'structure file {str(path)!r} lacks {missing}; it needs {list(keys)}')
    unknown = [key for key in content if key not in keys]
    if unknown:
        raise ValueError(
            f'structure file {str(path)!r} has unknown keys {unknown}, not {list(keys)}'
        )
    for key in ('name', 'source'):
        if not isinstance(content[key], str):
            raise ValueError(f'structure file {str(path)!r}: {key} {content[key]!r} must be a text')
    return content


def _depths(depth, name):
    if isinstance(depth, int) and depth in DEPTHS:
        return DEPTHS[depth]
    fits = isinstance(depth, (tuple, list)) and len(depth) == len(STAGE_SIDES)
    if not fits or any(type(n) is not int or n < 1 for n in depth):
        raise ValueError(
            f'{name}: depth {depth!r} does not exist; choose from {tuple(DEPTHS)}, or give the '
            f'blocks of each of the {len(STAGE_SIDES)} stages, such as (2, 2, 2, 2)'
        )
    return tuple(depth)


def _scales(scales, name):
    numbers = list(scales) if isinstance(scales, (tuple, list)) else []
    positive = all(type(k) is int and k > 0 for k in numbers)
    if not numbers or not positive or numbers != sorted(set(numbers)):
        raise ValueError(
            f'{name}: scales {scales!r} must be ascending positive integers, such as {SCALES}'
        )
    return tuple(numbers)


def _stages(rows, depths, scales, name):
    """Group the rows by stage, each checked."""
    if not isinstance(rows, (tuple, list)) or len(rows) != sum(depths):
        found = len(rows) if isinstance(rows, (tuple, list)) else repr(rows)
        raise ValueError(
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
    if not isinstance(row, (tuple, list)) or any(type(n) is not int or n < 0 for n in row):
        raise ValueError(f'{where}: {row!r} must be a list of neuron counts, integers of 0 or more')
    if len(row) == len(scales) + 1:
        if row[-1] != side:
            raise ValueError(
                f"{where}: {list(row)} has {row[-1]} as its last number, where the authors' rows "
                f'have the side of the map at 224 px, which is {side} in this stage'
            )
        row = row[:-1]
    if len(row) != len(scales):
        raise ValueError(
            f'{where}: {list(row)} has {len(row)} counts; expected one for each scale of {scales}'
        )
    if sum(row) == 0:
        raise ValueError(f'{where}: {list(row)} leaves the block without neurons; keep at least 1')
    return tuple(row)
