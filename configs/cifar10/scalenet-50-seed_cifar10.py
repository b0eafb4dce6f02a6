"""The seed in which tools/allocate_neurons.py looks for a structure: each scale has plenty."""

_base_ = './scalenet-50-quarter_cifar10.py'

from mmscale.structures import seed

model = dict(backbone=dict(structure=dict(_delete_=True, **seed(288, depth=50, scales=(1, 2, 4)))))
custom_hooks = [
    dict(type='mmscale.EpochSeedHook'),
    dict(type='mmscale.ChannelsLastHook'),
    dict(type='mmscale.GammaL1Hook', strength=0.001),
]
