"""The seed in which tools/allocate_neurons.py looks for a structure: each scale has plenty.

It trains for fewer epochs than the networks that are compared: only its neurons' order is used.
"""

_base_ = './scalenet-14_cifar10.py'

from mmscale.structures import seed

model = dict(
    backbone=dict(structure=dict(_delete_=True, **seed(512, depth=(1, 1, 1, 1), scales=(1, 2, 4))))
)
custom_hooks = [
    dict(type='mmscale.EpochSeedHook'),
    dict(type='mmscale.ChannelsLastHook'),
    dict(type='mmscale.GammaL1Hook', strength=0.001),
]
max_epochs = 4
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
