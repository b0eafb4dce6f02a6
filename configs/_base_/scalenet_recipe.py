"""ScaleNet's 120 epochs of cosine on ImageNet (published).

Assumed, as the authors say nothing of it: SGD with lr 0.1 for 256 images, momentum 0.9, weight
decay 1e-4, random crops and flips only.
"""

_base_ = './imagenet.py'

max_epochs = 120
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)]
