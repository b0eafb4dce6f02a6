"""Template: fine-tune ReXNet 1.0 on a data set of your own, in one folder for each class.

Copy this file, state where the folders are and how many classes there are, and train:
python tools/train.py my_classes.py (see docs/pretraining.md). The ReXNet paper transfers to such
sets (food, cars, aircraft, flowers); this schedule is this project's, not the paper's.
"""

_base_ = 'mmscale::classification/rexnet-100_in1k.py'

data_root = 'data/my_classes/'  # train/CLASS/*.jpg and val/CLASS/*.jpg
num_classes = 102

# From here on everything follows from the lines above.
model = dict(
    head=dict(num_classes=num_classes),
    # The authors' ImageNet weights; without: --cfg-options model.init_cfg=None
    init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
)
data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(batch_size=64, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=max_epochs - 2, begin=2, end=max_epochs, by_epoch=True),
]
