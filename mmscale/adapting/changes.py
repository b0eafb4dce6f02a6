"""What is changed in a config: where, to what and why; to be made or written down."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from mmengine.config import Config

Path = tuple[str | int, ...]


class Change(NamedTuple):
    """One setting that gets another value.

    Attributes:
        path (tuple[str | int]): Keys from the config down, and positions in lists.
        value (Any): What stands there then.
        why (str): Half a sentence for the reader; '' where the one above says it.
        instead (bool): A dict takes the place of the old one, whose other keys go.
    """

    path: Path
    value: Any
    why: str = ''
    instead: bool = False


def look_up(node: Any, path: Iterable[str | int]) -> Any:
    """What stands at a path, or None where the path ends early."""
    node = node._cfg_dict if isinstance(node, Config) else node
    for key in path:
        known = isinstance(node, Mapping) and key in node
        inside = isinstance(node, (list, tuple)) and isinstance(key, int) and key < len(node)
        if not known and not inside:
            return None
        node = node[key]
    return node


def make(cfg: Config, changes: Iterable[Change]) -> Config:
    """A copy of a config with all changes made, in order.

    Args:
        cfg (mmengine.Config): It stays as it is.
        changes (Iterable[Change]): Dicts on the way that are missing are made.
    """
    cfg = deepcopy(cfg)
    for change in changes:
        node: Any = cfg._cfg_dict
        for key in change.path[:-1]:
            if isinstance(node, dict) and node.get(key) is None:
                node[key] = {}
            node = node[key]
        node[change.path[-1]] = deepcopy(change.value)
    return cfg
