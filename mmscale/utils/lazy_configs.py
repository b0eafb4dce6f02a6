"""This package's functions inside pure-Python configs, where mmengine imports nothing at first.

There, ``from mmscale import feature_channels`` is a placeholder until something is built from the
config, and calling one is an error without a text. Placeholders for what is in this package are
called nevertheless, and the error has a text.
"""

from inspect import isfunction
from typing import Any

from mmengine.config.lazy import LazyAttr, LazyObject

PACKAGE = __name__.partition('.')[0]


def install() -> None:
    """Teach mmengine's placeholders to be called; a second time changes nothing."""
    LazyObject.__call__ = LazyAttr.__call__ = _call


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    ours = self.module.partition('.')[0] == PACKAGE
    function = self.build() if ours else None
    if not isfunction(function):  # a class is a type, to be built later
        package, _, rest = f'{self.module}.{self}'.partition('.')
        raise RuntimeError(
            f'{rest} cannot be called while the config is read, as mmengine imports it later; '
            f'__import__({package!r}).{rest} can'
        )
    return function(*map(_built, args), **{key: _built(kwargs[key]) for key in kwargs})


def _built(value):
    """What a placeholder stands for, also inside of containers."""
    if isinstance(value, (LazyObject, LazyAttr)):
        return value.build()
    if isinstance(value, dict):
        return {key: _built(item) for key, item in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_built, value))
    return value
