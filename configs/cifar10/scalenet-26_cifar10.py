"""ScaleNet of 26 layers with the cost of the ResNet-26.

The scales share the neurons evenly; another structure: --cfg-options model.backbone.structure=FILE
"""

_base_ = './resnet-26_cifar10.py'

from mmscale.structures import uniform

model = dict(
    backbone=dict(
        structure=dict(_delete_=True, **uniform(neurons=306, depth=(2, 2, 2, 2), scales=(1, 2, 4)))
    )
)
