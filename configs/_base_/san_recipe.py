"""How SAN's authors trained ResNets on ImageNet: 120 epochs of cosine, lr 0.1 for 256 images.

Published: batch, learning rate, weight decay 1e-4; MobileNetV2: 150 epochs, 0.05, 4e-5. Assumed:
momentum 0.9. The crop is made at the largest resolution and resized to the others by the model,
which also flips each of them anew.
"""

_base_ = './imagenet.py'

# The authors only scale the images to 0 to 1.
data_preprocessor = dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0])
train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bilinear'),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

max_epochs = 120
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)]
