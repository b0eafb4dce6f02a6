"""Where a model says how many channels it reads of its backbone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmscale.adapting.changes import Change, Path
from mmscale.adapting.hosts import BESIDE, Host, necks_of
from mmscale.adapting.levels import POOLING
from mmscale.errors import UserError
from mmscale.registry import type_name

# Necks that hand the backbone's maps on as they are, before maps of their own: heads read both.
HANDING_ON = ('SSDNeck',)
# The same of mmseg, which put all that they make in the place of the last map.
JOINING = ('JPU',)
NO_READERS = ('backbone', 'neck', 'data_preprocessor', 'train_cfg', 'test_cfg', 'init_cfg', *BESIDE)


def channel_changes(
    host: Host, old: Sequence[int], new: Sequence[int], further: int
) -> Iterator[Change]:
    """The changes that have a model read other channels.

    Args:
        host (Host): The model that has the backbone.
        old, new (Sequence[int]): Channels of the maps; the old ones may have `further` more.
        further (int): Maps that have to be made from the last one.

    Raises:
        UserError: If nothing says that it reads the old channels.
    """
    necks = necks_of(host.cfg)
    shared = (host.cfg.get('roi_head') or {}).get('shared_head')
    if shared and not necks:
        yield _mapper(host, new, old[-1], 0, _why_shared(shared, old[-1]))
    elif further:
        yield from _with_further_maps(host, old, new, further)
    elif necks and type_name(necks[0]['type']) != POOLING:
        yield from _in_neck(host, necks[0], old, new)
    else:
        yield from _in_heads(host, old, new)


def _why_shared(shared, width):
    return (
        f'roi_head.shared_head ({type_name(shared["type"])}) is a stage of a ResNet, which reads '
        f'{width} channels: a 1x1 convolution makes them'
    )


def _mapper(host, new, width, further, why):
    neck = dict(
        type='mmdet.ChannelMapper',
        in_channels=list(new),
        kernel_size=1,
        out_channels=width,
        num_outs=len(new) + further,
    )
    return Change((*host.path, 'neck'), neck, why, instead=True)


def _with_further_maps(host, old, new, further):
    """A neck in front of the others makes what the backbone has not."""
    necks = [dict(neck) for neck in necks_of(host.cfg)]
    width = old[0]
    if not necks or translate(necks[0].get('in_channels'), old, [width] * len(old)) is None:
        raise UserError(
            f'the old backbone hands out {len(old)} maps, and nothing that reads {list(old)} '
            'channels was found'
        )
    why = (
        f'the backbone ends at stride 32: convolutions of stride 2 make {further} more, all maps '
        f'{width} channels wide as the old first one'
    )
    mapper = _mapper(host, new, width, further, why)
    necks[0]['in_channels'] = [width] * len(old)
    yield mapper._replace(value=[mapper.value, *necks], instead=False)


def _in_neck(host, neck, old, new):
    given = neck.get('in_channels')
    value = translate(given, old, new)
    if value is None:
        raise UserError(
            f'neck.in_channels={given!r} of {type_name(neck["type"])} are not the channels '
            f'{list(old)} that the old backbone hands out: the config does not fit itself'
        )
    if isinstance(given, tuple):  # some necks take nothing else
        value = tuple(value)
    first: Path = (0,) if isinstance(host.cfg['neck'], (list, tuple)) else ()
    path = (*host.path, 'neck', *first)
    yield Change((*path, 'in_channels'), value, f"the backbone's, in the place of {_text(given)}")
    if type_name(neck['type']) in HANDING_ON:
        why = "the first are the backbone's maps, handed on as they are"
        yield Change((*path, 'out_channels'), _prefixed(neck['out_channels'], value), why)
        head = host.cfg['bbox_head']['in_channels']
        yield Change((*host.path, 'bbox_head', 'in_channels'), _prefixed(head, value))
    if type_name(neck['type']) in JOINING:
        joined = neck.get('mid_channels', 512) * len(neck.get('dilations', (1, 2, 4, 8)))
        changes = _head_changes(host, [*old[:-1], joined], [*new[:-1], joined])
        yield from (change for change in changes if change.value != joined)


def _prefixed(values, first):
    return type(values)([*first, *values[len(first) :]])  # necks compare tuples with tuples


def _in_heads(host, old, new):
    changes = list(_head_changes(host, old, new))
    if not changes:
        raise UserError(
            f'nothing in the model says that it reads the {list(old)} channels that the old '
            'backbone hands out: neither neck.in_channels nor in_channels of a head'
        )
    yield from changes


def _head_changes(host, old, new):
    # A segmentor's heads say which map they read, a detector's are told by the number alone.
    readers = _indexed if 'decode_head' in host.cfg else _readers
    for key, part in host.cfg.items():
        if not str(key).startswith(NO_READERS):
            for path, given, value in readers(part, (*host.path, key), old, new):
                yield Change(path, value, f"the backbone's, in the place of {_text(given)}")


def _readers(node: Any, path: Path, old, new) -> Iterator[tuple[Path, Any, Any]]:
    """Every place in a head that has the backbone's channels, with the old and the new value."""
    if isinstance(node, Mapping):
        for key, inner in node.items():
            # A RoI extractor cuts out of the maps: what it says is the maps' own number.
            cuts = key == 'out_channels' and str(path[-1]).endswith('roi_extractor')
            value = translate(inner, old, new) if key == 'in_channels' or cuts else None
            if value is not None:
                yield (*path, key), inner, value
            else:
                yield from _readers(inner, (*path, key), old, new)
    elif isinstance(node, (list, tuple)):
        for index, inner in enumerate(node):
            yield from _readers(inner, (*path, index), old, new)


def _indexed(node: Any, path: Path, old, new) -> Iterator[tuple[Path, Any, Any]]:
    """The same of mmseg's heads: the channels of the maps that `in_index` names."""
    if isinstance(node, Mapping):
        given = node.get('in_channels')
        many = isinstance(given, (list, tuple))
        index = node.get('in_index', list(range(len(old))) if many else -1)
        value = [_at(channels, index) for channels in (old, new)]
        if given is not None and value[0] == (list(given) if many else given):
            yield (*path, 'in_channels'), given, value[1]
            if node.get('num_convs') == 0 and node.get('channels') == given:
                yield (*path, 'channels'), given, value[1]  # it classifies what it reads
        if node.get('c1_in_channels') == old[0]:  # the finest map, which DeepLabV3+ reads too
            yield (*path, 'c1_in_channels'), old[0], new[0]
        for key, inner in node.items():
            yield from _indexed(inner, (*path, key), old, new)
    elif isinstance(node, (list, tuple)):
        for position, inner in enumerate(node):
            yield from _indexed(inner, (*path, position), old, new)


def _at(channels, index):
    """The channels of one map, or of several; None if there is no such map."""
    many = isinstance(index, (list, tuple))
    try:
        return [channels[i] for i in index] if many else channels[index]
    except IndexError:
        return None


def translate(value: Any, old: Sequence[int], new: Sequence[int]) -> Any:
    """Old channels as new ones: a number or a list, in the maps' order or in any other.

    Returns:
        int | list[int] | None: None if a number is not one of `old`.

    Example:
        >>> translate([1024, 512], (256, 512, 1024), (61, 128, 185))
        [185, 128]
    """
    if type(value) is int:  # of the last map that has so many
        found = [n for o, n in zip(old, new) if o == value]
        return found[-1] if found else None
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if list(value) == list(old):
        return list(new)
    if list(value) == list(old)[::-1]:
        return list(new)[::-1]
    by_number = dict(zip(old, new))
    if len(by_number) < len(old) or not all(type(v) is int and v in by_number for v in value):
        return None
    return [by_number[v] for v in value]


def _text(value):
    return ', '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
