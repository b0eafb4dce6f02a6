"""Template: fine-tune ReXNet 1.0 on a data set of your own, in one folder for each class.

`mmscale new FOLDER -o my_classes.py` fills it in for a folder (docs/own_dataset.md). By hand: copy
this file, state its first lines anew, and train: mmscale train my_classes.py (docs/pretraining.md).
The ReXNet paper transfers to such sets (food, cars, aircraft, flowers); this schedule is this
project's, not the paper's.
"""

_base_ = 'mmscale::classification/rexnet-100_in1k.py'

num_classes = 102
data_root = 'data/my_classes/'
train_set = dict(data_prefix='train')  # train/CLASS/*.jpg
val_set = dict(data_prefix='val')
test_set = val_set

image_size = 224  # of the square that is cut out of a picture, in px
batch_size = 64  # the learning rate follows it
max_epochs = 50
warm_up = 2  # epochs

# From here on everything follows from the lines above.
model = dict(
    head=dict(num_classes=num_classes),
    # The authors' ImageNet weights; without: --cfg-options model.init_cfg=None
    init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
)
data_preprocessor = dict(num_classes=num_classes)

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
for crop in train_pipeline[1].transforms:
    crop[0].scale = image_size
test_pipeline[1].scale, test_pipeline[2].crop_size = image_size * 8 // 7, image_size
del crop
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(data_root=data_root, **train_set, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(data_root=data_root, **val_set, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(data_root=data_root, **test_set, pipeline=test_pipeline))

train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=1e-4))
auto_scale_lr = dict(enable=True, base_batch_size=64)
epochs = dict(by_epoch=True, convert_to_iter_based=True, begin=0)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=warm_up, **epochs),
    dict(type='CosineAnnealingLR', T_max=max_epochs, end=max_epochs, **epochs),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best='accuracy/top1'),
)
