"""Models as for inference: the same outputs from fewer and faster operations.

:func:`fuse` makes one. What comes out is plain PyTorch, to be run as it is, compiled or exported:
nothing here is special to an engine. :func:`best` tries which form is the fastest on a machine.
"""

from importlib import import_module
from typing import Any

from mmscale.deploy.blocks import inference_form
from mmscale.deploy.channels_last import to_channels_last
from mmscale.deploy.folding import FoldedRows
from mmscale.deploy.fusing import fuse
from mmscale.deploy.san import KEPT, FusedSAN
from mmscale.deploy.scalenet import FusedAggregation
from mmscale.deploy.tiling import TiledLayers
from mmscale.models.backbones.san import AtScale

__all__ = [
    'KEPT',
    'AtScale',
    'FoldedRows',
    'FusedAggregation',
    'FusedSAN',
    'TiledLayers',
    'best',
    'fuse',
    'inference_form',
    'to_channels_last',
]


def __getattr__(name: str) -> Any:
    """Imports what stands on the exporters and engines, which stand on this package."""
    if name != 'best':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return import_module('mmscale.benchmark.formats').best
