"""Checkpoints of any origin: fetched and read, their names understood, fitted to a model."""

from mmscale.checkpoints.converting import Converted, convert_file
from mmscale.checkpoints.fitting import (
    SCHEME,
    TRUSTED,
    Fit,
    Weights,
    fit,
    identify,
    in_order_of,
    load,
    read_weights,
    report,
    variant_of,
    weights,
)
from mmscale.checkpoints.names import Conversion, convert
from mmscale.checkpoints.reading import TIMM_SCHEME, find_file, read_file

__all__ = [
    'SCHEME', 'TIMM_SCHEME', 'TRUSTED', 'Conversion', 'Converted', 'Fit', 'Weights', 'convert',
    'convert_file', 'find_file', 'fit', 'identify', 'in_order_of', 'load', 'read_file',
    'read_weights', 'report', 'variant_of', 'weights',
]  # fmt: skip
