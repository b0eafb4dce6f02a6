"""The smallest run that has everything: random data, dropout, norm, momentum, a validation."""

import os
import random
import time

import numpy as np
import torch
from mmengine import registry
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

BY_EPOCH = """
custom_imports = dict(imports=['toy_runs'])
default_scope = 'mmengine'
model = dict(type='ToyModel')
data = dict(type='ToySet')
collate = dict(type='default_collate')
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=data, collate_fn=collate,
    sampler=dict(type='DefaultSampler', shuffle=True)
)
val_dataloader = dict(
    batch_size=2, num_workers=0, dataset=data, collate_fn=collate,
    sampler=dict(type='DefaultSampler', shuffle=False)
)
val_evaluator = dict(type='ToyMetric')
train_cfg = dict(by_epoch=True, max_epochs=4)
val_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9), accumulative_counts=2
)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=15)]
default_hooks = dict(
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='error', rule='less'
    ),
    ema=dict(type='EMAHook', momentum=0.1),
)
randomness = dict(seed=3)
"""
BY_ITERATION = (
    BY_EPOCH.replace("'DefaultSampler', shuffle=True", "'InfiniteSampler', shuffle=True")
    .replace(
        'by_epoch=True, max_epochs=4', "type='IterBasedTrainLoop', max_iters=20, val_interval=5"
    )
    .replace('interval=1,', 'interval=3, by_epoch=False,')
)


@registry.MODELS.register_module()
class ToyModel(BaseModel):
    """Two layers; `scale` multiplies the loss."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.last = nn.Linear(8, 1)
        self.scale = scale

    def forward(self, inputs, names=None, mode='loss'):
        x = torch.dropout(self.backbone(inputs), 0.5, self.training)
        loss = (self.last(x) - inputs.sum(1, keepdim=True)).square()
        return dict(loss=loss.mean() * self.scale) if mode == 'loss' else [loss.detach()]


@registry.DATASETS.register_module()
class ToySet(Dataset):
    """Ten samples, each of them augmented by three generators."""

    metainfo = dict(classes=('a',))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        noise = np.random.rand() + random.random() + float(torch.rand(()))
        return dict(inputs=torch.arange(4.0) + index + noise, names=str(index))


@registry.METRICS.register_module()
class ToyMetric(BaseMetric):
    """The mean loss, with some noise: a validation may draw random numbers too."""

    def process(self, data_batch, data_samples):
        self.results += [float(value.mean()) + np.random.rand() for value in data_samples]

    def compute_metrics(self, results):
        return dict(error=float(np.mean(results)))


@registry.HOOKS.register_module()
class SignalHook(Hook):
    """Sends a signal in the seventh iteration or later.

    To all processes of the run's group; of several processes the last one sends it to itself
    ('one'), or to the launcher, which hands it on to all ('all').
    """

    def __init__(self, number, place, to='group'):
        self.number, self.place, self.to = number, place, to

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.place == 'train' and runner.iter == 6:
            self.send(runner)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.place == 'val' and runner.iter == 10 and batch_idx == 1:
            self.send(runner)

    def before_val_epoch(self, runner):
        if self.place == 'metrics' and runner.iter == 10:
            for metric in runner.val_loop.evaluator.metrics:
                metric.compute_metrics = lambda results: self.wait(runner)

    def wait(self, runner):
        """As metrics do for processes that are gone, though not for ever."""
        self.send(runner)
        time.sleep(20)
        return dict(error=0.0)

    def send(self, runner):
        if self.to == 'group':
            os.killpg(0, self.number)
        elif runner.rank == runner.world_size - 1:
            os.kill(os.getpid() if self.to == 'one' else os.getppid(), self.number)
