"""Memory, open files and processes stay as they are, in long runs and many inferences."""

import ctypes
import gc
import multiprocessing
import os
import re
import threading
from pathlib import Path

import exportable
import numpy as np
import pytest
import small_runs
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS
from mmengine.runner import loops
from PIL import Image

from mmscale.engine.training import train
from mmscale.export.exporting import export
from mmscale.inference.loading import open_model
from mmscale.inference.predictor import Predictor

FIRST, LAST = 500, 3_000  # steps, or pictures
ROOM = 24 << 20  # bytes: 10 kB a step would be as many
SIDES = range(32, 97, 8)  # pixels


def resident(process):
    status = Path(f'/proc/{process}/status').read_text()
    return int(re.search(r'VmRSS:\s*(\d+) kB', status)[1]) << 10


class Watch:
    """What the process holds after some steps, and after many."""

    def __init__(self):
        self.seen = {}

    def __call__(self, step):
        if step in (FIRST, LAST):
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, or it would count as held
            workers = multiprocessing.active_children()
            self.seen[step] = dict(
                bytes=resident('self'),
                workers_bytes=sum(resident(worker.pid) for worker in workers),
                handles=len(os.listdir('/proc/self/fd')),
                threads=threading.active_count(),
                workers=len(workers),
            )

    def assert_flat(self, name):
        before, after = self.seen[FIRST], self.seen[LAST]
        print(f'\n{name}, after {FIRST} and {LAST}: {before} {after}')
        grown = {key: after[key] - before[key] for key in before}
        assert max(grown['bytes'], grown['workers_bytes']) < ROOM
        assert (grown['handles'], grown['threads'], grown['workers']) == (0, 0, 0)


@TRANSFORMS.register_module(force=True)
class Growing:
    """Pictures that are larger each time, and small again after the largest."""

    def __init__(self, scale, keep_ratio):  # of the Resize in whose place it comes
        self.seen = 0

    def __call__(self, results):
        self.seen += 1
        side = SIDES[self.seen // 2 % len(SIDES)]
        resize = dict(type='Resize', scale=(side, side + 16), keep_ratio=False)
        return Compose([resize])(results)


@HOOKS.register_module(force=True)
class WatchHook(Hook):
    """Looks after each training step."""

    watch = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        WatchHook.watch(runner.iter + 1)


@pytest.mark.slow
def test_training_is_flat(tmp_path, monkeypatch):
    small_runs.write(tmp_path)
    monkeypatch.setenv('SHAPES_ROOT', str(tmp_path / 'shapes'))
    monkeypatch.setattr(WatchHook, 'watch', Watch())
    monkeypatch.setattr(loops.time, 'sleep', lambda _: None)  # two seconds after each epoch
    train(
        tmp_path / 'detector.py',
        work_dir=tmp_path / 'run',
        overrides={
            'train_cfg.max_iters': LAST,
            'train_cfg.val_interval': 250,
            'param_scheduler.0.end': LAST,
            'optim_wrapper.optimizer.lr': 1e-5,  # nothing is to be learned
            'default_hooks.checkpoint.interval': 200,
            'train_dataloader.num_workers': 2,
            'train_dataloader.persistent_workers': True,
            'train_dataloader.dataset.pipeline.2.type': 'Growing',
            'custom_hooks': [dict(type='WatchHook')],
        },
    )
    assert WatchHook.watch.seen[LAST]['workers'] == 2
    WatchHook.watch.assert_flat('training')


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Configs and checkpoints of a small detector and a small classifier, and pictures."""
    folder = tmp_path_factory.mktemp('flat')
    small_runs.write(folder)
    rng = np.random.default_rng(0)
    pictures = []
    for i, side in enumerate(SIDES):
        pixels = rng.integers(0, 255, (side, 64, 3), np.uint8)
        pictures.append(str(folder / f'{i}.png'))
        Image.fromarray(pixels).save(pictures[-1])
    before = os.environ.get('SHAPES_ROOT')
    os.environ['SHAPES_ROOT'] = str(folder / 'shapes')
    yield dict(
        mmdet=exportable.built(small_runs.DETECTOR, folder, 'mmdet'),
        mmpretrain=exportable.built(small_runs.CLASSIFIER, folder, 'mmpretrain'),
        pictures=pictures,
        shapes=[str(folder / 'shapes/val')],
    )
    os.environ.pop('SHAPES_ROOT')
    if before is not None:
        os.environ['SHAPES_ROOT'] = before


@pytest.mark.slow
@pytest.mark.parametrize('form', ['checkpoint', 'onnx', 'xml'])
@pytest.mark.parametrize('scope', ['mmdet', 'mmpretrain'])
def test_inference_is_flat(models, tmp_path, scope, form):
    config, checkpoint = models[scope]
    if form == 'checkpoint':
        model = open_model(checkpoint, config)
    else:
        out = tmp_path / f'model.{form}'
        export(config, checkpoint, out, images=models['shapes'])
        model = open_model(str(out))
    paths = [models['pictures'][i % len(SIDES)] for i in range(LAST)]
    watch = Watch()
    for step, result in enumerate(Predictor(model).predict(iter(paths)), 1):
        assert result.probabilities is not None or result.draw().any()  # with all that it draws
        watch(step)
    watch.assert_flat(f'{scope}, {form}')
