"""Short runs of a detector and of a classifier: how they are started, and what they leave."""

import json
import os
import sys
from pathlib import Path

import torch
import yaml
from commands import tool

DETECTOR = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
CLASSIFIER = 'shapes/rexnet-100_shapes'
SPLITS = ('train', 'val', 'test')
IN_THIS_PROCESS = (
    *(f'{split}_dataloader.num_workers=0' for split in SPLITS),
    *(f'{split}_dataloader.persistent_workers=False' for split in SPLITS),
)
SHORT = (
    'train_cfg.max_iters=4',
    'train_cfg.val_interval=4',
    *(f'{split}_dataloader.batch_size=2' for split in SPLITS),
    *IN_THIS_PROCESS,
)
NARROW = ('model.backbone.width_mult=0.9', 'model.head.in_channels=1152')
SHORT_CLASSIFIER = (
    *NARROW,
    'train_cfg.max_epochs=2',
    'train_dataloader.batch_size=8',
    'default_hooks.logger.interval=1',
    *IN_THIS_PROCESS,
)


def train_briefly(work_dir, *arguments, options=()):
    """Train a detector for one iteration."""
    command = [DETECTOR, '--work-dir', str(work_dir), *map(str, arguments)]
    tool('train')([*command, '--cfg-options', *SHORT, 'train_cfg.max_iters=1', *options])


def run_classifier(name, *arguments, options=()):
    """Call a tool with the small classifier."""
    tool(name)([CLASSIFIER, *map(str, arguments), '--cfg-options', *SHORT_CLASSIFIER, *options])


def as_overrides(options):
    """What ``--cfg-options`` makes of its arguments."""
    return {key: yaml.safe_load(value) for key, _, value in (o.partition('=') for o in options)}


def loaders(**values):
    """Overrides of all three dataloaders, none of which starts processes."""
    values = {'num_workers': 0, 'persistent_workers': False, **values}
    return {f'{split}_dataloader.{key}': v for split in SPLITS for key, v in values.items()}


def on_small_images():
    """Overrides of a config with mmdet's COCO pipelines: two iterations on small images."""
    resizes = {'train': 2, 'val': 1, 'test': 1}
    return {
        'model.backbone.init_cfg': None,
        'train_cfg': dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2, _delete_=True),
        'param_scheduler': [],
        'default_hooks.checkpoint.by_epoch': False,
        **loaders(),
        **{
            f'{split}_dataloader.dataset.pipeline.{step}.scale': (160, 160)
            for split, step in resizes.items()
        },
    }


def scalars(work_dir):
    """Every line of a run's scalars."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def log_of(work_dir):
    """The text of a run's logs."""
    return '\n'.join(path.read_text() for path in sorted(Path(work_dir).glob('*/*.log')))


def changed(run, path, change):
    """A copy of the checkpoint of a detector's run after `change(checkpoint)`."""
    checkpoint = torch.load(run / 'iter_4.pth', weights_only=False)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def environment_of_processes(port, **more):
    """Environment variables for a launcher: this Python first in the path, a port of its own."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', 'PORT': str(port), **more}
