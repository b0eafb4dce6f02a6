"""Minutes of training from scratch on two CPU cores, logged and saved by iteration."""

_base_ = './runtime.py'

max_iters = 330
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=30,
        end=max_iters,
        eta_min_ratio=0.01,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.0015, weight_decay=0.05),
    # These layers have thousands of inputs, which Adam's steps all add up over.
    paramwise_cfg=dict(custom_keys=dict(shared_fcs=dict(lr_mult=0.25))),
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2),
)
custom_hooks = [dict(type='mmscale.ChannelsLastHook')]
log_processor = dict(window_size=20, by_epoch=False)
