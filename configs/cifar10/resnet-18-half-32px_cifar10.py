"""ResNet-18 of half the width at 32 px, to compare SAN with.

At another size, 24 px say: --cfg-options train_dataloader.dataset.pipeline.3.scale=24
val_dataloader.dataset.pipeline.1.scale=24 test_dataloader.dataset.pipeline.1.scale=24
"""

_base_ = './resnet-18-half_cifar10.py'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = 32
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
