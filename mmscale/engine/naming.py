"""The classes of a pure-Python config, by the names that they are registered under.

With them it is what its text config is, to everything that reads it and to the files it is saved
in: mmengine by itself saves the address of a class, and cannot use that of a function again.
"""

import sys
from collections.abc import Callable
from inspect import isclass, isroutine
from types import ModuleType
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config
from mmengine.registry import Registry

ROOTS = [root for root in vars(roots).values() if isinstance(root, Registry)]


def name_types(cfg: Config) -> None:
    """Write names where a config has classes and registered functions as types.

    Those that are registered nowhere stay. Modules that it has imported are left out, as mmengine
    leaves them out of text configs: they can neither be copied nor saved.

    Args:
        cfg (mmengine.Config): It is changed.

    Raises:
        ImportError: If there is no such class: mmengine looks for them only here.
    """
    whole = cfg._cfg_dict
    for key in [key for key, value in whole.items() if isinstance(value, ModuleType)]:
        del whole[key]
    _name(whole, cfg.get('default_scope') or 'mmengine')


def _name(node, scope):
    if isinstance(node, dict):
        kind = node.get('type')
        # What is registered nowhere stays mmengine's placeholder, which is saved as an address.
        if (isclass(kind) or isroutine(kind)) and (name := registered_name(kind, scope)):
            node['type'] = name
        node = [value for key, value in node.items() if key != 'type']
    for value in node:
        if isinstance(value, (dict, list, tuple)):
            _name(value, scope)


def registered_name(kind: Callable[..., Any], scope: str) -> str | None:
    """What a config of some `default_scope` calls a class or a function.

    Returns:
        str: With the scope, ``'mmscale.ReXNet'``, where the bare name is not enough. None if it is
            registered nowhere.
    """
    home = str(kind.__module__).partition('.')[0]
    for root in ROOTS:
        for registry in (root, *root.children.values()):
            for name, found in registry.module_dict.items():
                if found is kind:
                    place = home if home in root.children else registry.scope
                    with root.switch_scope_and_registry(scope) as own:
                        bare = place in (scope, 'mmengine') and own.get(name) is kind
                    return name if bare else f'{place}.{name}'
    # Suppression and pooling are in no registry, but functions of mmcv by name.
    name = kind.__name__
    return name if getattr(sys.modules.get('mmcv.ops'), name, None) is kind else None
