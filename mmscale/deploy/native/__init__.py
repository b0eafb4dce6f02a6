"""C++ of this package for CPUs, which the machine's own compiler builds.

For inference: ReXNet's blocks without a whole map of their expanded channels, ScaleNet's without
passes of their own for what lies between the convolutions, and 3x3 convolutions by Winograd's
algorithm, in necks and heads and in anyone's models. For training: batch norms with what follows
them. All in float32.
"""

from mmscale.deploy.native.bottleneck import NativeBottleneck, can_be_native
from mmscale.deploy.native.library import library
from mmscale.deploy.native.norms import use_native_norms, use_plain_norms
from mmscale.deploy.native.scale_bottleneck import NativeScaleBottleneck, to_native_block
from mmscale.deploy.native.winograd import WinogradConv2d, to_winograd

__all__ = [
    'NativeBottleneck',
    'NativeScaleBottleneck',
    'WinogradConv2d',
    'can_be_native',
    'library',
    'to_native_block',
    'to_winograd',
    'use_native_norms',
    'use_plain_norms',
]
