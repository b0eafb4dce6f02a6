"""ScaleNet-50 of a quarter of the width, with the cost of ResNet-50's quarter.

The scales share the neurons evenly; another structure: --cfg-options model.backbone.structure=FILE
"""

_base_ = './resnet-50-quarter_cifar10.py'

from mmscale.structures import uniform

model = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        base_channels=16,
        structure=uniform(neurons=222, depth=50, scales=(1, 2, 4)),
        zero_init_residual=True,
        out_indices=(3,),
    ),
)
