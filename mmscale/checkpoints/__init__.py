"""Checkpoints of any origin: fetched and read, their names understood, fitted to a model."""

from mmscale.checkpoints.converting import Converted, convert_file
from mmscale.checkpoints.damage import damage_of, require_finite
from mmscale.checkpoints.fitting import Fit, fit, load, load_content, require_fit, variant_of
from mmscale.checkpoints.identifying import identify
from mmscale.checkpoints.initializer import Pretrained
from mmscale.checkpoints.names import Conversion, convert
from mmscale.checkpoints.reading import TIMM_SCHEME, find_file, read_file
from mmscale.checkpoints.san_norms import in_order_of
from mmscale.checkpoints.schemes import SCHEME, is_trusted, trusting
from mmscale.checkpoints.tensors import Weights, read_weights, weights

__all__ = [
    'SCHEME', 'TIMM_SCHEME', 'Conversion', 'Converted', 'Fit', 'Pretrained', 'Weights', 'convert',
    'convert_file', 'damage_of', 'find_file', 'fit', 'identify', 'in_order_of', 'is_trusted',
    'load', 'load_content', 'read_file', 'read_weights', 'require_finite', 'require_fit',
    'trusting', 'variant_of', 'weights',
]  # fmt: skip
