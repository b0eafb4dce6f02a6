"""Blocks that say themselves how they are computed in inference.

A block, of this package or of another, offers a form of itself by a function::

    from mmscale.deploy import inference_form

    @inference_form(MyBlock)
    def fuse_my_block(block):
        return MyFusedBlock(block)

:func:`mmscale.deploy.fuse` calls it with each block of that very class, not of subclasses, which
may compute something else. The block is in eval mode, its norms are folded where folding knows how,
and it has no hooks. The pass that was watched has shown that all its members are used by the block
alone. What is returned must give the same outputs, called in the same way; it may be the block
itself.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

FORMS: dict[type, Callable[[Any], nn.Module]] = {}


def inference_form(kind: type[nn.Module]) -> Callable:
    """Register the decorated function as what gives the inference form of a class of blocks."""

    def register(form):
        FORMS[kind] = form
        return form

    return register
