"""Values of another kind than the config has in that place."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmscale.checks.findings import FAULT, Finding
from mmscale.errors import is_number

SWITCHES = ('auto', 'dynamic')  # words that stand for a number, or for a switch
SPLITS = ('train', 'val', 'test')
NAMED = ('structure',)  # either a section, or the name of one

# Sections of every config that mmengine's Runner takes, by what they are.
DICTS = (
    'model', 'data_preprocessor', 'optim_wrapper', 'auto_scale_lr', 'default_hooks', 'env_cfg',
    'log_processor', 'visualizer', 'randomness', 'tta_model', 'model_wrapper_cfg',
    *(f'{split}_{part}' for split in SPLITS for part in ('dataloader', 'cfg')),
)  # fmt: skip
ONE_OR_MORE = ('param_scheduler', 'val_evaluator', 'test_evaluator')
LISTS = ('custom_hooks', 'tta_pipeline')
TEXTS = ('default_scope', 'work_dir', 'load_from', 'launcher', 'experiment_name')


def find_overrides(cfg: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[Finding]:
    """Overrides that would put a value where the config has a section, or text for a number.

    Args:
        cfg (mmengine.Config): Before they are merged.
        overrides (dict): Dotted keys and values.
    """
    for dotted, new in overrides.items():
        old = _value_at(cfg, dotted)
        wanted = _wanted(old, new, dotted.rpartition('.')[2])
        if wanted:
            yield Finding(
                FAULT,
                'override-kind',
                f'--cfg-options {dotted}={new!r:.60}: {wanted} belongs there, now {old!r:.60}',
            )


def find_values(cfg: Mapping[str, Any]) -> Iterator[Finding]:
    """Sections of a config that are none."""
    for key in (*DICTS, *ONE_OR_MORE, *LISTS, *TEXTS):
        value = cfg.get(key)
        if value is None or (key == 'auto_scale_lr' and value is False):
            continue
        if key in TEXTS:
            yield from _require(isinstance(value, str), key, value, 'text')
        elif key in DICTS:
            yield from _require(_is_dict(value), key, value, 'a section (a dict)')
        else:
            many = isinstance(value, (list, tuple)) and all(map(_is_dict, value))
            one = key in ONE_OR_MORE and _is_dict(value)
            yield from _require(many or one, key, value, 'a list of dicts')
    yield from _types({key: cfg[key] for key in cfg}, '')
    if _is_dict(cfg.get('default_hooks')):
        for name, hook in cfg['default_hooks'].items():
            where = f'default_hooks.{name}'
            yield from _require(hook is None or _is_dict(hook), where, hook, 'a hook (a dict)')
    yield from _lengths(cfg)
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if _is_dict(loader):
            yield from _loader(loader, f'{split}_dataloader')
    if _is_dict(cfg.get('model')):
        for key in ('backbone', 'neck', 'head', 'rpn_head', 'roi_head', 'bbox_head'):
            value = cfg['model'].get(key)
            several = isinstance(value, (list, tuple)) and all(map(_is_dict, value))
            fits = value is None or _is_dict(value) or several
            yield from _require(fits, f'model.{key}', value, 'a section (a dict)')


def _lengths(cfg):
    """How long a run is, and its learning rate."""
    loop = cfg.get('train_cfg')
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        value = loop.get(key) if _is_dict(loop) else None
        fits = value is None or (is_number(value) and value >= 1 and value == int(value))
        yield from _require(fits, f'train_cfg.{key}', value, 'a whole number of at least 1')
    wrapper = cfg.get('optim_wrapper')
    optimizer: Any = wrapper.get('optimizer') if _is_dict(wrapper) else None
    rate = optimizer.get('lr') if _is_dict(optimizer) else None
    fits = not (isinstance(rate, str) or _is_number(rate)) or is_number(rate)
    yield from _require(fits, 'optim_wrapper.optimizer.lr', rate, 'a finite number')


def _types(node, where):
    """Types that are neither names nor classes, wherever in a config."""
    if _is_dict(node):
        if 'type' in node and not isinstance(node['type'], str) and not callable(node['type']):
            yield from _require(False, f'{where}type', node['type'], 'the name of a class')
        for key, inner in node.items():
            yield from _types(inner, f'{where}{key}.')
    elif isinstance(node, (list, tuple)):
        for i, inner in enumerate(node):
            yield from _types(inner, f'{where}{i}.')


def _loader(loader, where):
    if 'dataset' not in loader:
        yield Finding(FAULT, 'section-missing', f'{where} has no dataset')
        return
    yield from _dataset(loader['dataset'], f'{where}.dataset')
    for key in ('sampler', 'batch_sampler', 'collate_fn'):
        value = loader.get(key)
        fits = _is_dict(value) or (value is None and key != 'sampler' or callable(value))
        if key in loader or key == 'sampler':
            yield from _require(fits, f'{where}.{key}', value, 'a section (a dict)')


def _dataset(dataset, where):
    yield from _require(_is_dict(dataset), where, dataset, 'a data set (a dict)')
    if not _is_dict(dataset):
        return
    if 'type' not in dataset:
        yield Finding(FAULT, 'type-missing', f'{where} has no type')
    for key in ('metainfo', 'filter_cfg', 'backend_args'):
        value = dataset.get(key)
        yield from _require(value is None or _is_dict(value), f'{where}.{key}', value, 'a dict')
    prefix = dataset.get('data_prefix')
    fits = prefix is None or isinstance(prefix, str) or _is_dict(prefix)
    yield from _require(fits, f'{where}.data_prefix', prefix, 'a dict, dict(img=FOLDER)')
    root = dataset.get('data_root')
    yield from _require(root is None or isinstance(root, str), f'{where}.data_root', root, 'text')
    yield from _details(dataset, where)
    pipeline = dataset.get('pipeline')
    if pipeline is not None:
        steps = isinstance(pipeline, (list, tuple)) and all(
            (_is_dict(step) and 'type' in step) or callable(step) for step in pipeline
        )
        yield from _require(steps, f'{where}.pipeline', pipeline, 'a list of dicts with a type')
    if 'dataset' in dataset:
        yield from _dataset(dataset['dataset'], f'{where}.dataset')
    inner = dataset.get('datasets')
    if inner is not None:
        many = isinstance(inner, (list, tuple))
        yield from _require(many, f'{where}.datasets', inner, 'a list of data sets')
        for i, item in enumerate(inner if many else ()):
            yield from _dataset(item, f'{where}.datasets[{i}]')


def _details(dataset, where):
    """What the checks of the data themselves rely on."""
    if _is_dict(dataset.get('data_prefix')):
        for key, value in dataset['data_prefix'].items():
            fits = value is None or isinstance(value, str)
            yield from _require(fits, f'{where}.data_prefix.{key}', value, 'a folder (text)')
    if _is_dict(dataset.get('metainfo')):
        classes = dataset['metainfo'].get('classes')
        names = isinstance(classes, (list, tuple)) and all(isinstance(n, str) for n in classes)
        fits = classes is None or isinstance(classes, str) or names
        yield from _require(fits, f'{where}.metainfo.classes', classes, 'a list of names')
    if _is_dict(dataset.get('filter_cfg')):
        least = dataset['filter_cfg'].get('min_size', 0)
        yield from _require(_is_number(least), f'{where}.filter_cfg.min_size', least, 'a number')
    chosen = dataset.get('indices')
    fits = chosen is None or type(chosen) is int
    fits = fits or (isinstance(chosen, (list, tuple)) and all(type(i) is int for i in chosen))
    yield from _require(fits, f'{where}.indices', chosen, 'a whole number, or a list of such')


def _require(fits, where, value, what):
    if not fits:
        yield Finding(
            FAULT, 'section-value', f'{where}={value!r:.60}: {what} belongs there', 'correct it'
        )


def _wanted(old, new, key):
    """What belongs in the place of `new`; '' if it fits, or if that cannot be told."""
    if new is None or old is None or new is False:
        return ''
    if _is_dict(old):
        return '' if _is_dict(new) or key in NAMED else f'a section with {list(old)[:4]}'
    if isinstance(old, (list, tuple)) and old and all(map(_is_dict, old)):
        fits = isinstance(new, (list, tuple)) and all(map(_is_dict, new))
        return '' if fits or _is_dict(new) else 'a list of dicts'
    if _is_number(old) and isinstance(new, str) and new not in SWITCHES and key != 'priority':
        return 'a number'
    if isinstance(old, str) and _is_number(new) and old not in SWITCHES and key != 'priority':
        return 'text'
    if isinstance(old, (str, bool, int, float)) and _is_dict(new) and key == 'type':
        return 'a name'
    return ''


def _value_at(cfg, dotted):
    node: Any = cfg
    for key in dotted.split('.'):
        if isinstance(node, (list, tuple)) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, Mapping) or hasattr(node, 'get'):
            node = node.get(key)
        else:
            return None
    return node


def _is_dict(value):
    return isinstance(value, Mapping)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
