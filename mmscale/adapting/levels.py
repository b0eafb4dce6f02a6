"""Which maps of the new backbone take the places of the old one's."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmscale.adapting.hosts import necks_of
from mmscale.adapting.observing import Observed
from mmscale.errors import UserError
from mmscale.registry import type_name

OFFERED = (4, 8, 16, 32)  # strides of indices 0 to 3, whatever the family
DILATED = (8, 16)  # output strides that are made by dilation
# It averages the last map for a classifier, whose last convolution our index 4 is.
POOLING = 'GlobalAveragePooling'


class Levels(NamedTuple):
    """The new backbone's maps.

    Attributes:
        out_indices (tuple[int]): As the backbone takes them.
        further (int): Maps of stride 64, 128 ... that have to be made from the last one.
        output_stride (int, optional): Where dilation takes the place of the strides behind it.
    """

    out_indices: tuple[int, ...]
    further: int = 0
    output_stride: int | None = None


def choose_levels(host: Mapping[str, Any], old: Observed, known: int) -> Levels:
    """The maps of the same strides. Of a dilated backbone they are those of the same depth.

    Args:
        host (dict): The model that has the backbone.
        old (Observed): The old backbone.
        known (int): How many indices the new one has, 4 or 5.

    Raises:
        UserError: If the old backbone hands out a stride that no map has, or one twice.
    """
    strides = old.levels
    if list(strides) != sorted(set(strides)):
        raise UserError(
            f'the old backbone hands out the strides {list(strides)}; one map of each of '
            f'{list(OFFERED)} is what there is'
        )
    if (
        strides == (32,)
        and known > 4
        and any(type_name(n['type']) == POOLING for n in necks_of(host))
    ):
        return Levels((known - 1,))
    within = [stride for stride in strides if stride <= OFFERED[-1]]
    further = [stride for stride in strides if stride > OFFERED[-1]]
    doubled = [OFFERED[-1] * 2 ** (i + 1) for i in range(len(further))]
    missing = [stride for stride in within if stride not in OFFERED]
    if missing or further != doubled or (further and within[-1:] != [OFFERED[-1]]):
        raise UserError(
            f'the old backbone hands out the strides {list(strides)}, of which '
            f'{missing or further} cannot be had; there are {list(OFFERED)}'
        )
    out_indices = tuple(OFFERED.index(stride) for stride in within)
    return Levels(out_indices, len(further), _output_stride(old))


def _output_stride(old):
    """The stride that the old backbone's deepest maps kept by dilation; None if there is none."""
    if old.strides == old.levels:
        return None
    kept = max(old.strides)
    if old.strides != tuple(min(level, kept) for level in old.levels) or kept not in DILATED:
        raise UserError(
            f'the old backbone is dilated and hands out the strides {list(old.strides)} instead of '
            f'{list(old.levels)}; output_stride={" or ".join(map(str, DILATED))} is what there is'
        )
    return kept
