"""Inference on CPUs by C++ of this package, which the machine's own compiler builds.

ReXNet's blocks without a whole map of their expanded channels, and 3x3 convolutions by Winograd's
algorithm, in ScaleNet, in necks and heads and in anyone's models: both in float32.
"""

from mmscale.deploy.native.bottleneck import NativeBottleneck, can_be_native
from mmscale.deploy.native.library import library
from mmscale.deploy.native.winograd import WinogradConv2d, to_winograd

__all__ = ['NativeBottleneck', 'WinogradConv2d', 'can_be_native', 'library', 'to_winograd']
