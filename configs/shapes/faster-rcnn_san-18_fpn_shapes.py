"""The same detector with SAN ResNet-18, each batch with the weights and norms of its size."""

_base_ = './faster-rcnn_r18-sizes_fpn_shapes.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.SANResNet',  # without a `resolution`, that of the batch
        depth=18,
        resolutions=_base_.sizes,
        # From scratch in minutes: see configs/cifar10/san-resnet-18-half_cifar10.py.
        init_cfg=dict(type='Normal', layer='Linear', std=0.1),
    ),
)
find_unused_parameters = True  # one step reaches one size's norms
