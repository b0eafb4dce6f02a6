"""What an exported file may say of itself: data, of which every word is checked.

Transforms and visualizers are built by name, and mmengine takes any name in Python for one. So a
file names those of `TRANSFORMS`, with plain arguments. In the rest of what it says there is nothing
to build.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmscale.errors import UserError, is_number, is_whole
from mmscale.utils.texts import parse_json
from mmscale.utils.words import short

FORMAT = 1  # of the description
PARTS = ('detector', 'classifier', 'segmentor', 'neck', 'backbone')
# What of a package builds data sets and drawings, by its scope.
TASKS = {
    'mmdet': ('CocoDataset', 'DetLocalVisualizer'),
    'mmpretrain': ('CustomDataset', 'UniversalVisualizer'),
    'mmseg': ('BaseSegDataset', 'SegLocalVisualizer'),
}
LARGEST = 1 << 14  # side of an image, in px
NESTED = 20  # dicts and lists inside each other


def _is_one_of(*choices):
    return lambda value: type(value) in (str, bool) and value in choices


def _is_side(value):
    return is_whole(value) and value <= LARGEST


def _is_pair(value):
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_side, value))


def _is_size(value):
    return _is_side(value) or _is_pair(value)


def _or_none(fits):
    return lambda value: value is None or fits(value)


def _is_factor(value):
    return is_number(value) and 0 < value <= 100


def _is_factors(value):
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return all(map(_is_factor, value)) if pair else _is_factor(value)


def _is_colour(value):
    return all(map(is_number, value)) if isinstance(value, (list, tuple)) else is_number(value)


def _is_colours(value):
    return all(map(_is_colour, value.values())) if isinstance(value, dict) else _is_colour(value)


def _are_names(value):
    return isinstance(value, (list, tuple)) and all(
        isinstance(name, str) and re.fullmatch(r'\w{1,80}', name) for name in value
    )


_SWITCH = _is_one_of(True, False)
_RESIZING = dict(
    backend=_is_one_of('cv2', 'pillow'),
    interpolation=_is_one_of('nearest', 'bilinear', 'bicubic', 'area', 'lanczos', 'box', 'hamming'),
)
_RESIZE = dict(
    scale=_or_none(_is_size),
    scale_factor=_or_none(_is_factors),
    keep_ratio=_SWITCH,
    clip_object_border=_SWITCH,
    **_RESIZING,
)
_PADDING = dict(
    pad_val=_is_colours,
    padding_mode=_is_one_of('constant', 'edge', 'reflect', 'symmetric'),
)


def _is_padding(value):
    """What a crop of smaller images fills them up with: the one dict inside that has a type."""
    known = dict(type=_is_one_of('Pad'), **_PADDING)
    return isinstance(value, dict) and all(
        key in known and known[key](inner) for key, inner in value.items()
    )


# The transforms of test pipelines and the arguments that they may have, each with its check.
TRANSFORMS: dict[str, dict[str, Callable[[Any], bool]]] = {
    'CenterCrop': dict(
        crop_size=_is_size,
        auto_pad=_SWITCH,
        clip_object_border=_SWITCH,
        pad_cfg=_is_padding,
    ),
    'EfficientNetCenterCrop': dict(
        crop_size=_is_side,
        crop_padding=lambda value: type(value) is int and 0 <= value <= LARGEST,
        **_RESIZING,
    ),
    'FixScaleResize': _RESIZE,
    'LoadImageFromFile': {},
    'PackDetInputs': dict(meta_keys=_are_names),
    'PackInputs': dict(
        input_key=_is_one_of('img'), algorithm_keys=_are_names, meta_keys=_are_names
    ),
    'PackSegInputs': dict(meta_keys=_are_names),
    'Pad': dict(
        size=_or_none(_is_size),
        size_divisor=_or_none(_is_side),
        pad_to_square=_SWITCH,
        **_PADDING,
    ),
    'Resize': _RESIZE,
    'ResizeEdge': dict(
        scale=_is_side, edge=_is_one_of('short', 'long', 'width', 'height'), **_RESIZING
    ),
}


def read_description(text: str | None, named: str) -> dict[str, Any]:
    """What a file says of itself, checked.

    Args:
        text (str, optional): As it stands in the file.
        named (str): The file, for messages.

    Returns:
        dict: The description (docs/export.md).

    Raises:
        UserError: If it is none, has another format, or describes more than data.
    """
    try:
        meta = parse_json(text or '')
        found = isinstance(meta, dict)
    except ValueError:
        found = False
    if not found:
        raise UserError(
            f'{named} does not say how it is to be used: it was not written by mmscale export'
        )
    if type(meta.get('format')) is not int or meta['format'] != FORMAT:
        raise UserError(
            f'{named} was written by mmscale {short(meta.get("mmscale"))} in format '
            f'{short(meta.get("format"))}; this one reads format {FORMAT}: export it again'
        )
    try:
        _check(meta)
    except UserError as error:
        raise UserError(
            f'{named} describes itself strangely and was not used: {error}. Export it again with '
            'mmscale export'
        ) from None
    return meta


def _check(meta):
    """Check every key that something is made of; in the others there is nothing to build."""
    _require('part', meta.get('part'), _is_one_of(*PARTS), f'one of {PARTS}')
    _require('classes', meta.get('classes'), _is_classes, 'a list of names')
    wanted = _section(meta, 'input', ('batch', 'size', 'divisor', 'smallest'))
    for key in ('divisor', 'smallest'):
        _require(f'input.{key}', wanted[key], _is_side, f'a whole number up to {LARGEST}')
    batch, size = wanted['batch'], wanted['size']
    _require('input.batch', batch, _or_none(_is_side), f'a whole number up to {LARGEST}')
    _require('input.size', size, _or_none(_is_pair), 'height and width in pixels')
    thresholds = meta.get('thresholds')
    if thresholds is not None:
        for key, value in _section(meta, 'thresholds').items():
            _require(f'thresholds.{key}', value, is_number, 'a number')
    check_runtime(meta.get('runtime'))
    scopes = dict(detector='mmdet', classifier='mmpretrain', segmentor='mmseg')
    scope = meta['runtime']['default_scope']
    wanted = scopes.get(meta['part'], scope)
    _require('runtime.default_scope', scope, _is_one_of(wanted), f'{wanted} of a {meta["part"]}')
    if meta['part'] == 'segmentor':
        _require('align_corners', meta.get('align_corners'), _SWITCH, 'true or false')
        metainfo = meta['runtime']['test_dataloader']['dataset']['metainfo']
        classes, palette = metainfo['classes'] or (), metainfo['palette']
        known = isinstance(palette, (list, tuple)) and 0 < len(classes) == len(palette)
        _require('palette', palette, lambda _: known, 'a colour for each class')
    rest = {key: value for key, value in meta.items() if key != 'runtime'}
    _refuse_types(rest, '', NESTED)


def check_runtime(runtime: Any) -> None:
    """Check what a file says about inference: transforms, classes, how to draw.

    Args:
        runtime (dict): As :func:`mmscale.engine.runtime.runtime_config` returns it.

    Raises:
        UserError: If a key has something else than the plain data that belongs there.
    """
    keys = ('default_scope', 'test_dataloader', 'visualizer')
    runtime = _section(dict(runtime=runtime), 'runtime', keys, only=True)
    scope = runtime['default_scope']
    _require('runtime.default_scope', scope, _is_one_of(*TASKS), f'one of {(*TASKS,)}')
    dataset, visualizer = TASKS[scope]
    drawn = _section(runtime, 'visualizer', ('type',), only=True, inside='runtime.')
    _require('runtime.visualizer.type', drawn['type'], _is_one_of(visualizer), visualizer)
    loader = _section(runtime, 'test_dataloader', ('dataset',), only=True, inside='runtime.')
    where = 'runtime.test_dataloader.'
    keys = ('type', 'metainfo', 'pipeline')
    data = _section(loader, 'dataset', keys, only=True, inside=where)
    where += 'dataset.'
    _require(f'{where}type', data['type'], _is_one_of(dataset), dataset)
    metainfo = _section(data, 'metainfo', ('classes', 'palette'), only=True, inside=where)
    check_metainfo(metainfo, f'{where}metainfo')
    check_pipeline(data['pipeline'], f'{where}pipeline')


def check_metainfo(metainfo: Mapping[str, Any], where: str) -> None:
    """Check the names of classes and the colours that they are drawn in.

    Raises:
        UserError: If they are something else.
    """
    _require(f'{where}.classes', metainfo.get('classes'), _is_classes, 'a list of names')
    _require(f'{where}.palette', metainfo.get('palette'), _is_palette, 'a list of colours')


def check_pipeline(pipeline: Any, where: str) -> None:
    """Check the transforms of a test pipeline.

    Raises:
        UserError: If one is not in `TRANSFORMS`, or has another argument than it may have there.
    """
    _require(where, pipeline, lambda value: isinstance(value, list) and value, 'a list')
    for index, step in enumerate(pipeline):
        place = f'{where}[{index}]'
        kind = step.get('type') if isinstance(step, dict) else None
        if not isinstance(kind, str) or kind not in TRANSFORMS:
            named = short(kind if isinstance(step, dict) else step)
            raise UserError(
                f'{place} is {named}, but a file can describe these transforms only: '
                f'{", ".join(TRANSFORMS)}'
            )
        known = TRANSFORMS[kind]
        for key, value in step.items():
            if key != 'type' and key not in known:
                raise UserError(
                    f'{place}: {kind} has {short(key)}, but a file can describe only '
                    f'{[*known]} of it'
                )
            if key != 'type':
                _require(f'{place}: {kind}.{key}', value, known[key], 'a plain value that suits it')


def _section(owner, key, keys: Sequence[str] = (), *, only: bool = False, inside: str = ''):
    """The dict under a key, with the keys that it has to have."""
    found = owner.get(key)
    if not isinstance(found, dict):
        raise UserError(f'{inside}{key} must be an object with keys, but is {short(found)}')
    missing = [name for name in keys if name not in found]
    unknown = [name for name in found if name not in keys] if only else []
    if missing or unknown:
        raise UserError(f'{inside}{key} lacks {missing} and has too much: {short(unknown)}')
    return found


def _require(key, value, fits, what):
    if not fits(value):
        raise UserError(f'{key} is {short(value)}, but should be {what}')


def _refuse_types(value, where, depth):
    """Stop at a dict that asks to be built; nothing does, so it is there for no good."""
    if not depth:
        raise UserError(f'{where} has more than {NESTED} objects inside each other')
    if isinstance(value, dict):
        if 'type' in value:
            raise UserError(f'{where or "it"} has a type, {short(value["type"])}')
        for key, inner in value.items():
            _refuse_types(inner, f'{where}.{key}'.strip('.')[:80], depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_types(inner, where, depth - 1)


def _is_classes(value):
    names = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return value is None or names


def _is_palette(value):
    if value is None or (isinstance(value, str) and re.fullmatch(r'\w{1,20}', value)):
        return True
    return isinstance(value, (list, tuple)) and all(
        isinstance(colour, (list, tuple))
        and len(colour) == 3
        and all(is_whole(part, 0) and part < 256 for part in colour)
        for colour in value
    )
