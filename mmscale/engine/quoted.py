"""The config that a checkpoint quotes: read as data, and used without running code.

mmengine parses a config by running it, and takes any name in Python for a type. So the text is
read by its syntax alone, only what makes predictions is kept, and every word of it is checked:
types are names that the packages of the model register, and other texts are single words.
"""

import ast
import re
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config

from mmscale.engine.tasks import TASKS
from mmscale.errors import UserError, first_line
from mmscale.exported.description import check_metainfo, check_pipeline
from mmscale.registry import SCOPE, type_name
from mmscale.utils.configs import test_set
from mmscale.utils.environment import require

LONGEST = 1 << 20  # characters of a config; mmdet's longest has 60,000
NESTED = 40  # dicts and lists inside each other
READ = ('default_scope', 'model', 'data_preprocessor', 'test_dataloader', 'val_dataloader')
# What inference makes nothing of: other weights, assigners and samplers.
LEFT_OUT = ('init_cfg', 'pretrained', 'train_cfg')
# What a text that is no config, or one that somebody has changed, may end with.
DAMAGE = (
    SyntaxError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError,
)  # fmt: skip
READERS = ('LoadImage', 'LoadImageFromFile', 'LoadAnnotations')
FILES = ('structure',)  # a path of JSON, or what is in it, where others are words
REGISTRIES = ('MODELS', 'TASK_UTILS')
# Where registered classes may come from. Others of these packages fetch models from elsewhere, read
# pickles, or run what an argument says: mmpretrain's multimodal ones, mmdet's trackers.
HOMES = re.compile(
    r'mmscale\.|torch\.nn\.|mmcv\.(cnn|ops)\b|mmengine\.(model|utils\.dl_utils)\b'
    r'|mmdet\.models\.(backbones|data_preprocessors|dense_heads|detectors|layers|losses|necks|'
    r'roi_heads|seg_heads|task_modules\.(assigners|coders|prior_generators|samplers))\b'
    r'|mmseg\.models\.(backbones|data_preprocessor|decode_heads|losses|necks|segmentors)\b'
    r'|mmpretrain\.models\.(backbones|classifiers|heads|losses|necks|utils\.data_preprocessor)\b'
)
STRANGERS = re.compile(r'(?i)timm|hugging|torchvision')  # among them


def quoted_config(content: dict[str, Any], named: str, *, trust: bool = False) -> Config:
    """The config that a checkpoint quotes in its ``meta``, as mmengine's runs write it.

    Args:
        content (dict): The checkpoint, as :func:`mmscale.checkpoints.read_file` returns it.
        named (str): Its file, for messages.
        trust (bool): Run the config as the program that it is.

    Returns:
        mmengine.Config: Of a trusted one everything, otherwise what inference needs: the model,
        the test pipeline and the classes.

    Raises:
        UserError: If it quotes none; or, where it is not trusted, more than data.
    """
    meta = content.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise UserError(
            f'checkpoint {named!r} needs its config, which it does not quote: --config CONFIG, '
            'in Python config=CONFIG'
        )
    if trust:
        try:
            return Config.fromstring(text, '.py')
        except Exception as error:  # a config is a program, which may end with anything
            raise UserError(
                f'the config that {named!r} quotes cannot be read ({first_line(error)}): --config '
                'CONFIG, in Python config=CONFIG'
            ) from error
    try:
        return _config(_assigned(text))
    except UserError as error:
        raise UserError(
            f'the config that {named!r} quotes was not used: {error}. Give the config itself '
            '(--config CONFIG, in Python config=CONFIG), or, if you trust where the checkpoint '
            'comes from, --trust-checkpoint (trust_checkpoint=True)'
        ) from None
    except DAMAGE as error:
        raise UserError(
            f'the config that {named!r} quotes is none ({first_line(error):.80}): --config CONFIG, '
            'in Python config=CONFIG'
        ) from None


def _assigned(text):
    """The values of `READ` in a config's text."""
    if len(text) > LONGEST:
        raise UserError(f'it has {len(text)} characters, more than {LONGEST}')
    return {
        statement.targets[0].id: _value(statement.value, NESTED)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id in READ
    }


def _value(node, depth):
    """What an expression of plain data says; a class is its name in a text."""
    if not depth:
        raise UserError(f'it has more than {NESTED} values inside each other')
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item, depth - 1) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values))
        if all(isinstance(key, ast.Constant) for key, _ in pairs):
            return {ast.literal_eval(key): _value(value, depth - 1) for key, value in pairs if key}
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        found: dict[Any, Any] = {}
        for part in node.args:  # keys that are no names
            found |= dict(_value(part, depth - 1))
        if all(keyword.arg for keyword in node.keywords):
            return found | {k.arg: _value(k.value, depth - 1) for k in node.keywords}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, depth - 1)
    if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):
        return float(node.id)
    if isinstance(node, (ast.Attribute, ast.Name)):
        return ast.unparse(node)
    raise UserError(f'line {node.lineno} is no plain data: {ast.unparse(node)[:60]!r}')


def _config(found):
    scope = found.get('default_scope')
    known = [task for task in TASKS if task.scope == scope]
    if not known or not isinstance(found.get('model'), dict):
        named = ', '.join(str(task.scope) for task in TASKS)
        raise UserError(f'it has no model, or its default_scope {scope!r:.40} is none of {named}')
    require(f'{scope}.models')
    described = dict(default_scope=scope)
    for key in ('model', 'data_preprocessor'):
        if isinstance(found.get(key), dict):
            described[key] = _checked(found[key], key, scope)
    loaders = {key: found.get(key) for key in ('test_dataloader', 'val_dataloader')}
    dataset = test_set({key: value for key, value in loaders.items() if isinstance(value, dict)})
    pipeline = [dict(step) for step in dataset['pipeline'] if isinstance(step, dict)]
    _check_steps(pipeline)
    dataset = dict(type=known[0].dataset, metainfo=_metainfo(dataset, scope), pipeline=pipeline)
    loader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
    return Config({**described, 'test_dataloader': loader})


def _metainfo(dataset, scope):
    """The classes that a data set is given, or has by its type; it is not built."""
    given = dataset.get('metainfo') or {}
    if not isinstance(given, dict):
        raise UserError(f'metainfo={given!r:.60} is no dict')
    kinds = require(f'{scope}.registry').DATASETS
    kinds.import_from_location()
    kind = kinds.module_dict.get(type_name(str(dataset.get('type'))))
    own = {**getattr(kind, 'METAINFO', {}), **given}
    metainfo = {key: own[key] for key in ('classes', 'palette') if own.get(key)}
    check_metainfo(metainfo, 'metainfo')
    return metainfo


def _check_steps(pipeline):
    """Check the transforms that :func:`mmscale.engine.runtime.runtime_config` will leave in."""
    for step in pipeline:
        step.pop('_scope_', None)  # mmengine's, of steps that a config takes from its base
        step['type'] = type_name(str(step.get('type')))
    check_pipeline([step for step in pipeline if step['type'] not in READERS], 'its pipeline')


def _checked(node, where, scope):
    """A part of the model without `LEFT_OUT`, its types by the names that they are registered."""
    if isinstance(node, dict):
        inner = node.get('_scope_', scope)
        if inner not in _scopes():
            raise UserError(f'{where} has _scope_={inner!r:.40}, which is none of {_scopes()}')
        return {
            key: _entry(key, value, f'{where}.{key}'[-80:], inner) for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return type(node)(_checked(item, where, scope) for item in node)
    if isinstance(node, str) and not re.fullmatch(r'[\w -]{0,100}', node):
        return _known(node, where, scope)
    return node


def _entry(key, value, where, scope):
    if key in LEFT_OUT:
        return None
    if key == 'type':
        return _known(value, where, scope)
    return value if key in FILES else _checked(value, where, scope)


def _scopes():
    return ('mmengine', 'mmcv', SCOPE, *(str(task.scope) for task in TASKS))


def _known(kind, where, scope):
    """The name of a registered class of the packages, as mmengine finds it."""
    parts = kind.split('.') if isinstance(kind, str) else ()
    if not parts or not all(re.fullmatch(r'[A-Za-z_]\w*', part) for part in parts):
        raise UserError(f'{where} is {kind!r:.60}, which is neither a word nor the name of a type')
    name, package = parts[-1], parts[0] if len(parts) > 1 else ''
    # A class by its address, as configs in pure Python quote it, is registered by its name too.
    place = package if package in _scopes()[2:] else 'mmengine' if package else scope
    found = _registered(name, place)
    home = getattr(found, 'stands_for', (getattr(found, '__module__', ''),))[0]
    if found is not None and HOMES.match(f'{home}.') and not STRANGERS.search(f'{home}.{name}'):
        return f'{package}.{name}' if package == place else name
    # Suppression and pooling are in no registry, but functions of mmcv by name.
    if not package and name in require('mmcv.ops').__all__:
        return name
    own = ' (custom_imports are code)' if not package else ''
    raise UserError(
        f'{where} is {kind!r:.60}, which is not registered by the packages that are trusted{own}'
    )


def _registered(name, scope):
    """What a name stands for in the registries of a scope or, above them, mmengine's."""
    for kind in REGISTRIES:
        nodes = [getattr(roots, kind)]
        if scope not in ('mmengine', 'mmcv'):
            nodes.insert(0, getattr(require(f'{scope}.registry'), kind, nodes[0]))
        for node in nodes:
            node.import_from_location()
            if name in node.module_dict:
                return node.module_dict[name]
    return None
