"""The detector with ResNet-18, each batch at one of five sizes: the pixels of 330 steps at 224."""

_base_ = './faster-rcnn_r18_fpn_shapes.py'

sizes = (224, 192, 160, 128, 96)
resize = dict(
    type='BatchSyncRandomResize',
    random_size_range=(min(sizes), max(sizes)),
    size_divisor=32,
    interval=1,
)
model = dict(data_preprocessor=dict(batch_augments=[resize]))

max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 2)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
