"""ScaleNet of 14 layers with the neurons that tools/allocate_neurons.py found in its seed."""

_base_ = './scalenet-14_cifar10.py'

model = dict(backbone=dict(structure='scalenet14_cifar10'))
