"""A ResNet of 26 layers and 24 channels in its stem, to compare with ScaleNets of its cost.

It is the ScaleNet of one scale: the same program; its bottlenecks halve maps by max pooling
instead of a stride. Smaller batches than the other networks' and more epochs bring it to where a
comparison means something.
"""

_base_ = './resnet-18-half_cifar10.py'

from mmscale.structures import uniform

model = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        base_channels=24,
        structure=uniform(neurons=192, depth=(2, 2, 2, 2), scales=(1,)),
        zero_init_residual=True,
        out_indices=(3,),
    ),
    head=dict(in_channels=768),
)
train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
max_epochs = 18
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=390),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
