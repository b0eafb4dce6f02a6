"""ScaleNet 50-light on CIFAR-10, from scratch: at 48 px and for 5 epochs, since it costs more."""

_base_ = './rexnet-090_cifar10.py'

from mmscale import feature_channels

backbone = dict(
    _delete_=True,
    type='mmscale.ScaleNet',
    structure='scalenet50_light',
    zero_init_residual=True,
    out_indices=(3,),
)
model = dict(backbone=backbone, head=dict(in_channels=feature_channels(**backbone)[0]))

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = 48
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 5
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
