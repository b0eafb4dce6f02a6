"""The same detector with SAN ResNet-18, trained at five sizes, each batch at one of them."""

_base_ = './faster-rcnn_r18_fpn_shapes.py'

sizes = (224, 192, 160, 128, 96)
resize = dict(
    type='BatchSyncRandomResize',
    random_size_range=(min(sizes), max(sizes)),
    size_divisor=32,
    interval=1,
)
model = dict(
    data_preprocessor=dict(batch_augments=[resize]),
    # Without a `resolution`, a batch gets the weights and norms of its own size.
    backbone=dict(
        _delete_=True,
        type='mmscale.SANResNet',
        depth=18,
        resolutions=sizes,
        # From scratch in minutes: see configs/cifar10/san-resnet-18-half_cifar10.py.
        init_cfg=dict(type='Normal', layer='Linear', std=0.1),
    ),
)
find_unused_parameters = True  # one step reaches one size's norms
