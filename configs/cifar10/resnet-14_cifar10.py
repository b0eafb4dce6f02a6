"""A ResNet of 14 layers and 32 channels in its stem, to compare with ScaleNets of its cost.

It is the ScaleNet of one scale: the same program; its bottlenecks halve maps by max pooling
instead of a stride. Few and wide layers, smaller batches than the other networks' and more epochs
bring it to where a comparison means something.
"""

_base_ = './resnet-18-half_cifar10.py'

from mmscale.structures import uniform

model = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        base_channels=32,
        structure=uniform(neurons=256, depth=(1, 1, 1, 1), scales=(1,)),
        zero_init_residual=True,
        out_indices=(3,),
    ),
    head=dict(in_channels=1024),
)
# Crops move an image by 2 px, not 4, as it is seen only 16 times; the two were not compared.
train_pipeline = _base_.train_pipeline
train_pipeline[1].padding = 2
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=64)
max_epochs = 16
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
