"""ScaleNet of 14 layers with the cost of the ResNet-14.

The scales share the neurons evenly; another structure: --cfg-options model.backbone.structure=FILE
"""

_base_ = './resnet-14_cifar10.py'

from mmscale.structures import uniform

model = dict(
    backbone=dict(
        structure=dict(_delete_=True, **uniform(neurons=408, depth=(1, 1, 1, 1), scales=(1, 2, 4)))
    )
)
