"""Arguments that the class of a config's `type` does not have, with the name that was meant."""

import contextlib
import difflib
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from mmengine import registry as roots
from torch.utils.data import DataLoader

from mmscale.checks.findings import FAULT, Finding
from mmscale.errors import first_line
from mmscale.registry import type_name

# What people write for another word; the spelling alone does not tell.
MEANT = {
    'learning_rate': 'lr', 'batchsize': 'batch_size', 'metrics': 'metric', 'epochs': 'max_epochs',
    'workers': 'num_workers', 'iters': 'max_iters', 'annotation_file': 'ann_file',
    'num_epochs': 'max_epochs', 'num_iters': 'max_iters', 'wd': 'weight_decay',
}  # fmt: skip
OF_PARTS = (roots.MODELS, roots.TASK_UTILS)  # registries
SPELLING = 'see the spelling, and custom_imports'
SETTINGS = ('type', '_scope_', '_delete_', '_base_')  # mmengine's own, anywhere

# What is taken out of a section before its class is built.
BESIDE = {
    'hook': ('priority',),
    'scheduler': ('convert_to_iter_based',),
    'optim_wrapper': ('constructor', 'paramwise_cfg'),
    'loader': ('num_batch_per_epoch', 'disable_subprocess_warning'),
}


def find_arguments(cfg: Mapping[str, Any], splits: tuple[str, ...]) -> Iterator[Finding]:
    """Compare the keys of a run's sections with what their classes take.

    Args:
        cfg (mmengine.Config): Whose sections are sections (:mod:`mmscale.checks.sections`).
        splits (tuple[str]): Those of 'train', 'val' and 'test' that are used.
    """
    scope = cfg.get('default_scope')
    for where, node, registry, beside in places(cfg, splits):
        kind = node.get('type')
        found = class_of(kind, registry, scope) if kind is not None else None
        if kind is not None and found is None:
            yield unknown_type(where, kind, (registry,), scope)
        elif found is not None:
            yield from _compare(where, node, found, beside)
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            beside = ('dataset', 'sampler', 'batch_sampler', 'collate_fn', *BESIDE['loader'])
            yield from _compare(f'{split}_dataloader', loader, DataLoader, beside)
    yield from find_model_arguments(cfg)


def find_model_arguments(cfg: Mapping[str, Any]) -> Iterator[Finding]:
    """The same of a model's parts; those of unknown types are passed over."""
    scope = cfg.get('default_scope')
    known: dict[str, Any] = {}
    for where, node in parts(cfg.get('model'), 'model'):
        known[where] = class_of_part(node['type'], scope)
        if known[where] is not None:
            owner = known.get(owner_of(where, known) or '')
            # The first mmengine takes for an init_cfg, the others the part around it takes out.
            beside = ('pretrained', *(key for key in node if _is_named_in(owner, key)))
            yield from _compare(where, node, known[where], beside)


def owner_of(where: str, known: Mapping[str, Any]) -> str | None:
    """The dotted name, among those known, of the part that another stands in; None if in none."""
    while '.' in where:
        where = where.rpartition('.')[0]
        if where in known:
            return where
    return None


def _is_named_in(found, key):
    """Whether the code of a class has a key as text, as `loss.pop('bg_cls_weight')` of DETR's."""
    return any(f"'{key}'" in _source(base) for base in getattr(found, '__mro__', ())[:-1])


@functools.cache
def _source(found):
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):  # made in an interpreter, or written in C
        return ''


def places(
    cfg: Mapping[str, Any], splits: tuple[str, ...]
) -> Iterator[tuple[str, Any, Any, tuple[str, ...]]]:
    """Every section with a `type` outside the model.

    Yields:
        tuple: Its dotted name, the section, its registry, and keys that are taken out of it before.
    """
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if hook:
            yield f'default_hooks.{name}', hook, roots.HOOKS, BESIDE['hook']
    for i, hook in enumerate(cfg.get('custom_hooks') or ()):
        yield f'custom_hooks[{i}]', hook, roots.HOOKS, BESIDE['hook']
    for split in splits:
        loop = cfg.get(f'{split}_cfg')
        if loop is not None:
            kind = loop.get('type') or _loop(split, loop)
            yield f'{split}_cfg', {**loop, 'type': kind}, roots.LOOPS, ('by_epoch',)
        for i, metric in enumerate(_as_list(cfg.get(f'{split}_evaluator'))):
            if isinstance(metric.get('metrics'), (list, tuple)):
                continue  # an evaluator of its own
            several = isinstance(cfg[f'{split}_evaluator'], (list, tuple))
            where = f'{split}_evaluator' + (f'[{i}]' if several else '')
            yield where, metric, roots.METRICS, ()
        loader = cfg.get(f'{split}_dataloader') or {}
        yield from _of_dataset(loader.get('dataset'), f'{split}_dataloader.dataset')
        for key in ('sampler', 'batch_sampler'):
            if isinstance(loader.get(key), Mapping):
                yield f'{split}_dataloader.{key}', loader[key], roots.DATA_SAMPLERS, ()
        if isinstance(loader.get('collate_fn'), Mapping):
            yield f'{split}_dataloader.collate_fn', loader['collate_fn'], roots.FUNCTIONS, ()
    if 'train' in splits:
        wrapper = cfg.get('optim_wrapper') or {}
        if wrapper and 'constructor' not in wrapper and 'optimizer' in wrapper:
            kind = wrapper.get('type', 'OptimWrapper')
            beside = BESIDE['optim_wrapper']
            yield 'optim_wrapper', {**wrapper, 'type': kind}, roots.OPTIM_WRAPPERS, beside
            optimizer = wrapper['optimizer']
            if isinstance(optimizer, Mapping):
                yield 'optim_wrapper.optimizer', optimizer, roots.OPTIMIZERS, ()
        for i, scheduler in enumerate(_as_list(cfg.get('param_scheduler'))):
            beside = BESIDE['scheduler']
            yield f'param_scheduler[{i}]', scheduler, roots.PARAM_SCHEDULERS, beside


def class_of(kind: Any, registry: Any, scope: str | None) -> Any:
    """The class or function of a `type`; None if the registry knows none."""
    if not isinstance(kind, str):
        return kind if callable(kind) else None
    try:
        found = _looked_up(kind, registry, scope)
    except Exception:  # of mmengine's registry, or of what it imports by that name
        return None
    if hasattr(found, 'stands_for'):
        module, name = found.stands_for
        try:
            return getattr(import_module(module), name)
        except ImportError:
            return found
    return found if callable(found) else None  # the name of a module, say


def class_of_part(kind: Any, scope: str | None) -> Any:
    """The class of a model's part, as :func:`class_of`."""
    found = (class_of(kind, registry, scope) for registry in OF_PARTS)
    return next(filter(None, found), None)


def _looked_up(kind, registry, scope):
    given, _, bare = kind.rpartition('.')
    package = given or scope
    if package:
        with contextlib.suppress(ImportError):
            import_module(f'{package}.registry')
        if package not in registry.children:  # mmengine would warn, and look here
            return registry.get(kind)
    with registry.switch_scope_and_registry(given or scope) as own:
        return own.get(bare if given else kind) or own.get(kind)


def parameters(found: Any) -> tuple[list[str], bool]:
    """The names that a class or function takes, and whether it takes no others."""
    if not inspect.isclass(found):
        given = inspect.signature(found).parameters.values()
        return _named(given), not _takes_any(given)
    names: list[str] = []
    first = True
    for base in found.__mro__:
        if '__init__' not in vars(base) or base is object:
            continue
        given = inspect.signature(vars(base)['__init__']).parameters.values()
        names += [name for name in _named(given) if name not in ('self', *names)]
        if not _takes_any(given):
            return names, first
        first = False
    return names, False


def meant(key: str, names: list[str], likeness: float = 0.8) -> str | None:
    """The one of `names` that `key` is a slip of."""
    if MEANT.get(key) in names:
        return MEANT[key]
    return next(iter(difflib.get_close_matches(key, names, n=1, cutoff=likeness)), None)


def _compare(where, node, found, beside):
    try:
        names, strict = parameters(found)
    except (TypeError, ValueError):  # what is written in C has no signature
        return
    for key in node:
        if key in (*names, *beside, *SETTINGS):
            continue
        # What takes any argument may take one that is like another of its own.
        close = meant(key, [*names, *beside], 0.8 if strict else 0.85)
        if not strict and close is None:
            continue
        kind = type_name(node.get('type', '')) or found.__name__
        hint = f'did you mean {close!r}?' if close else f'it takes {names}'
        if where == 'optim_wrapper.optimizer' and not close:
            hint = (
                f'it takes {names}; if it is left from another optimizer: --cfg-options '
                f'{where}._delete_=True {where}.type={kind} {where}.lr={node.get("lr", 0.001)}'
            )
        yield Finding(FAULT, 'argument-unknown', f'{where}: {kind} has no argument {key!r}', hint)


def unknown_type(
    where: str,
    kind: str,
    registries: Sequence[Any],
    scope: str | None,
    usual: Sequence[str] = (),
) -> Finding:
    """What is said of a `type` that :func:`class_of` does not find.

    Args:
        where (str): Its dotted name.
        kind (str): The type.
        registries (Sequence[mmengine.Registry]): Where it was looked for.
        scope (str, optional): The config's.
        usual (Sequence[str]): The names to choose from; by default all that are registered.
    """
    named, _, bare = str(kind).rpartition('.')
    is_scope = any(named in registry.children for registry in registries)
    scopes = (named,) if is_scope else (scope, 'mmscale')
    known: dict[str, str] = {}  # in small letters, and as they are written
    for registry in registries:
        own = list(registry.module_dict)
        for child in registry.children.values():
            if child.scope in scopes:
                other = child.scope not in (scope, named)  # looked into only if it is named
                own += [f'{child.scope}.{name}' if other else name for name in child.module_dict]
        if kind in own:
            try:
                _looked_up(kind, registry, scope)
                why = ''
            except Exception as error:  # of whatever is imported
                why = f' ({first_line(error)})'
            said = f'{where}: what {kind!r} needs cannot be imported{why}'
            return Finding(FAULT, 'type-unknown', said)
        known |= {name.lower().rpartition('.')[2]: name for name in own}
    cutoff = 0.6 if usual else 0.7
    known = {name.lower(): name for name in usual} or known
    close = difflib.get_close_matches(bare.lower(), known, n=1, cutoff=cutoff)
    otherwise = f'{", ".join(usual[:-1])} or {usual[-1]}, say' if usual else SPELLING
    prefix = f'{named}.' if is_scope else ''
    hint = f'did you mean {prefix + known[close[0]]!r}?' if close else otherwise
    return Finding(FAULT, 'type-unknown', f'{where}: there is no type {kind!r}', hint)


def parts(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every part of a model that has a type and is built as a class of its own.

    Args:
        value (dict): The model, or something in it.
        where (str): Its dotted name.

    Yields:
        tuple: The part's dotted name and its config.
    """
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from parts(item, f'{where}[{i}]')
    elif isinstance(value, Mapping):
        if isinstance(value.get('type'), str):
            yield where, value
        for key, inner in value.items():
            # Layers and initialisers are built by functions of their own.
            built = key in ('train_cfg', 'test_cfg') or not str(key).endswith('_cfg')
            if built and key not in ('dcn', 'nms', 'plugins', 'structure'):
                yield from parts(inner, f'{where}.{key}')


def _of_dataset(dataset, where):
    if not isinstance(dataset, Mapping):
        return
    yield where, dataset, roots.DATASETS, ()
    for i, step in enumerate(dataset.get('pipeline') or ()):
        if isinstance(step, Mapping):
            yield f'{where}.pipeline[{i}]', step, roots.TRANSFORMS, ()
    yield from _of_dataset(dataset.get('dataset'), f'{where}.dataset')
    for i, inner in enumerate(dataset.get('datasets') or ()):
        yield from _of_dataset(inner, f'{where}.datasets[{i}]')


def _loop(split, loop):
    if split != 'train':
        return 'ValLoop' if split == 'val' else 'TestLoop'
    return 'EpochBasedTrainLoop' if loop.get('by_epoch', True) else 'IterBasedTrainLoop'


def _as_list(value):
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _named(given):
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [parameter.name for parameter in given if parameter.kind not in variable]


def _takes_any(given):
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in given)
