"""The child config that does what an adaptation did: short, and ready to edit."""

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmscale.adapting.changes import Change, look_up, make
from mmscale.engine.config import FOLDER
from mmscale.registry import SCOPE

WIDTH = 100
DELETE = '_delete_'


class Node:
    """A dict of the child config: settings by key, each a `Node` or a value, with its comment."""

    def __init__(self, comment: str = '', instead: bool = False) -> None:
        self.comment = comment
        self.instead = instead
        self.inner: dict[str, Any] = {}


class Leaf:
    """A value of the child config, with its comment."""

    def __init__(self, value: Any, comment: str = '') -> None:
        self.value = value
        self.comment = comment


def child(base: str, title: str, former: Config, changes: Sequence[Change]) -> str:
    """The text of a config that inherits another one and makes some changes to it.

    Args:
        base (str): What it inherits, as ``_base_`` takes it.
        title (str): A sentence for its first line.
        former (mmengine.Config): What it inherits, read.
        changes (Sequence[Change]): The changes, in order.
    """
    tree, cfg = Node(), make(former, changes)
    for change in changes:
        _place(tree, change, former, cfg)
    lines = [f'"""{title}"""', '', f'_base_ = {base!r}', '']
    for key, node in tree.inner.items():
        lines += [*_comment(node.comment, ''), *_setting(key, node, '', ' = ', '')]
    return '\n'.join(lines) + '\n'


def base_name(config: str | Path, cfg: Config, out: str | Path) -> str:
    """How a child at `out` names the config that it inherits.

    Args:
        config (str | Path): As it was given: a path, or a name such as ``mmdet::folder/name``.
        cfg (mmengine.Config): The config.
        out (str | Path): The child.
    """
    if '::' in str(config):
        return f'{str(config).removesuffix(".py")}.py'
    file = Path(cfg.filename).resolve()
    folder = Path(out).resolve().parent
    # Beside each other, or in folders of one project: the two can be moved together.
    if file.is_relative_to(folder.parent):
        return os.path.relpath(file, folder)
    own = FOLDER.resolve()
    if file.is_relative_to(own) and file.parent != own:  # mmengine wants a folder
        return f'{SCOPE}::{file.relative_to(own).as_posix()}'
    return str(file)


def _place(tree, change, former, cfg):
    """Put a change where it belongs. Lists are written whole: a child cannot change one inside."""
    path = list(change.path)
    position = next((i for i, key in enumerate(path) if isinstance(key, int)), None)
    value = change.value
    if position is not None:
        path = path[:position]
        value = look_up(cfg, path)
    node = tree
    for key in path[:-1]:
        node = node.inner.setdefault(key, Node())
        if isinstance(node, Leaf):  # its whole value is written there already
            node.comment = _joined(node.comment, change.why)
            return
    key, before = path[-1], node.inner.get(path[-1])
    if change.instead and isinstance(value, Mapping) and not _inside_new(tree, path):
        # Where there is nothing to delete, mmengine would take the word for a setting.
        there = key in (look_up(former, path[:-1]) or ())
        node.inner[key] = Node(change.why, instead=there)
        for name, inner in value.items():
            node.inner[key].inner[name] = Leaf(inner)
    elif isinstance(before, Leaf):
        before.value, before.comment = value, _joined(before.comment, change.why)
    else:
        node.inner[key] = Leaf(value, change.why)


def _inside_new(tree, path):
    """Whether a path leads through a dict that stands there instead of the base's."""
    node = tree
    for key in path[:-1]:
        node = node.inner[key]
        if node.instead:
            return True
    return False


def _joined(one, other):
    return '; '.join(dict.fromkeys(text for text in (one, other) if text))


def _comment(text, indent) -> list[str]:
    if not text:
        return []
    if text.split()[0].strip(';,:').isalpha():  # and no name from the config
        text = text[0].upper() + text[1:]
    return [f'{indent}# {line}' for line in textwrap.wrap(text, WIDTH - len(indent) - 2)]


def _setting(key, node, indent, equals, end) -> list[str]:
    """The lines of one setting."""
    value = node.value if isinstance(node, Leaf) else node
    start = f'{indent}{key}{equals}'
    short = None if isinstance(value, Node) else _literal(value)
    if short is not None and len(start) + len(short) + len(end) <= WIDTH:
        return [f'{start}{short}{end}']
    lines = list(_lines(value, indent))
    return [f'{start}{lines[0]}', *lines[1:-1], f'{lines[-1]}{end}']


def _lines(value: Any, indent: str) -> Iterator[str]:
    """A value over several lines, the first without indentation."""
    deeper = f'{indent}    '
    if isinstance(value, (list, tuple)):
        first, last = '[]' if isinstance(value, list) else '()'
        yield first
        for item in value:
            lines = [_literal(item)]
            if len(deeper) + len(lines[0]) + 1 > WIDTH:
                lines = list(_lines(item, deeper))
            yield from [f'{deeper}{lines[0]}', *lines[1:]][: len(lines) - 1]
            yield f'{lines[-1]},' if len(lines) > 1 else f'{deeper}{lines[0]},'
        yield f'{indent}{last}'
        return
    inner = value.inner if isinstance(value, Node) else value
    if not isinstance(inner, Mapping):
        yield repr(inner)
        return
    named = _all_names(inner)
    yield 'dict(' if named else '{'
    if isinstance(value, Node) and value.instead:
        yield f'{deeper}{DELETE}=True,' if named else f"{deeper}'{DELETE}': True,"
    for key, item in inner.items():
        node = item if isinstance(item, (Node, Leaf)) else Leaf(item)
        yield from _comment(node.comment, deeper)
        yield from _setting(
            *((key, node, deeper, '=') if named else (repr(key), node, deeper, ': ')), ','
        )
    yield f'{indent}{")" if named else "}"}'


def _all_names(keys):
    return all(str(key).isidentifier() and not iskeyword(str(key)) for key in keys)


def _literal(value: Any) -> str:
    """A value in one line, dicts as OpenMMLab's configs have them."""
    if isinstance(value, Mapping):
        if _all_names(value):
            return f'dict({", ".join(f"{key}={_literal(v)}" for key, v in value.items())})'
        return f'{{{", ".join(f"{key!r}: {_literal(v)}" for key, v in value.items())}}}'
    if isinstance(value, list):
        return f'[{", ".join(map(_literal, value))}]'
    if isinstance(value, tuple):
        return f'({", ".join(map(_literal, value))}{"," if len(value) == 1 else ""})'
    if isinstance(value, float) and value != value or value in (float('inf'), -float('inf')):
        return f"float('{value}')"
    return repr(value)
