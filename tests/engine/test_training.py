"""From a config to weights and metrics: training, stopping, resuming, the templates."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toy_runs
from commands import ROOT, tool
from mmengine.config import Config
from mmengine.registry import MODELS
from runs import (
    CLASSIFIER,
    DETECTOR,
    SHORT,
    SHORT_CLASSIFIER,
    as_overrides,
    loaders,
    log_of,
    on_small_images,
    run_classifier,
    scalars,
)

from mmscale.engine.config import load_config
from mmscale.engine.training import train
from mmscale.errors import UserError


def test_training_leaves_checkpoint_metrics_and_tensorboard(detector_run):
    assert (detector_run / 'iter_4.pth').is_file()
    metrics = [line for line in scalars(detector_run) if 'coco/bbox_mAP' in line]
    names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    assert [line['step'] for line in metrics] == [4]
    assert all(f'coco/bbox_{name}' in metrics[0] for name in names)
    assert list(detector_run.glob('*/vis_data/events.out.tfevents.*'))


def test_resume_goes_on_where_it_stopped(detector_run, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(detector_run, work_dir)
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_4.pth'))
    options = [*SHORT, 'train_cfg.max_iters=6', 'default_hooks.logger.interval=1']
    tool('train')([DETECTOR, '--work-dir', str(work_dir), '--resume', '--cfg-options', *options])
    steps = [line['step'] for line in scalars(work_dir) if 'loss' in line]
    assert steps[-2:] == [5, 6]
    assert torch.load(work_dir / 'iter_6.pth', weights_only=False)['meta']['iter'] == 6


def test_own_dataset_template_from_files_to_figures(shapes, tmp_path):
    names = ('star', 'ring', 'heart')
    config = write_own_config(shapes, tmp_path, names)
    work_dir = tmp_path / 'run'
    runner = train(config, work_dir=work_dir, overrides=on_small_images())
    assert runner.model.roi_head.bbox_head.num_classes == 3
    assert runner.train_dataloader.dataset.metainfo['classes'] == names
    assert any('coco/bbox_mAP' in line for line in scalars(work_dir))


def write_own_config(shapes, folder, classes):
    """A copy of the template for a set with the shapes `heart`, `ring` and `star` only."""
    root = folder / 'own'
    (root / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        shutil.copytree(shapes / split, root / split)
        content = json.loads((shapes / f'annotations/instances_{split}.json').read_text())
        kept = [c for c in content['categories'] if c['name'] in ('star', 'ring', 'heart')]
        ids = {c['id'] for c in kept}
        content['categories'] = kept
        content['annotations'] = [a for a in content['annotations'] if a['category_id'] in ids]
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    text = (ROOT / 'configs/own_dataset.py').read_text()
    changed = text.replace("('first', 'second', 'third')", repr(tuple(classes)))
    changed = changed.replace("'data/own/'", repr(str(root)))  # without the slash at its end
    assert changed.count(str(root)) == 1
    config = folder / 'my_config.py'
    config.write_text(changed)
    return config


def test_images_without_objects_train_as_background(shapes, tmp_path):
    content = json.loads((shapes / 'annotations/instances_train.json').read_text())
    content['annotations'] = []
    shutil.copytree(shapes / 'train', tmp_path / 'train')
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train.json').write_text(json.dumps(content))
    overrides = {
        'train_dataloader.dataset.data_root': f'{tmp_path}/',
        'train_dataloader.dataset.filter_cfg.filter_empty_gt': False,
        **loaders(batch_size=2),
        'train_cfg.max_iters': 1,
        'default_hooks.logger.interval': 1,
        'val_cfg': None,
        'val_dataloader': None,
        'val_evaluator': None,
    }
    train(DETECTOR, work_dir=tmp_path / 'run', overrides=overrides)
    losses = [line['loss'] for line in scalars(tmp_path / 'run') if 'loss' in line]
    assert losses
    assert all(0 < loss < 100 for loss in losses)


TOP_LEVEL = [
    f'{kind}_rcnn_{family}_fpn' for kind in ('faster', 'mask') for family in ('rexnet', 'scalenet')
]


@pytest.mark.slow
@pytest.mark.parametrize('config', TOP_LEVEL)
def test_top_level_configs_on_real_images(coco_root, tmp_path, config):
    # After two steps no score is above mmdet's threshold, and without detections it has no figures.
    overrides = {**on_small_images(), 'model.test_cfg.rcnn.score_thr': 0.0}
    overrides['optim_wrapper.optimizer.lr'] = 1e-4  # as there is no warm-up
    train(config, work_dir=tmp_path, overrides=overrides)
    kinds = ('bbox', 'segm') if config.startswith('mask') else ('bbox',)
    last = scalars(tmp_path)[-1]
    assert all(f'coco/{kind}_mAP' in last for kind in kinds)
    assert isinstance(Config.fromfile(next(tmp_path.glob('*.py'))), Config)


def test_a_classifier_goes_into_a_detector(classifier_run, shapes, tmp_path):
    runner = train(
        DETECTOR,
        work_dir=tmp_path,
        overrides={
            'model.backbone.width_mult': 0.9,
            'model.neck.in_channels': [36, 56, 117, 168],
            'model.backbone.init_cfg': dict(
                type='Pretrained', checkpoint=str(classifier_run / 'epoch_2.pth')
            ),
            'train_cfg.max_iters': 1,
            'train_cfg.val_interval': 2,
            **loaders(batch_size=2),
            'optim_wrapper.optimizer.lr': 0.0,
        },
    )
    log = log_of(tmp_path)
    assert 'of ReXNet 0.9 from' in log
    assert 'left out' in log
    weights = torch.load(classifier_run / 'epoch_2.pth', weights_only=False)['state_dict']
    loaded = runner.model.backbone.state_dict()
    assert torch.equal(loaded['stem.conv.weight'], weights['backbone.stem.conv.weight'])


@pytest.mark.parametrize(
    'switch',
    ['default_hooks.ema.type=EMAHook', 'optim_wrapper.accumulative_counts=2'],
    ids=['EMA', 'accumulation'],
)
def test_switches(shapes, tmp_path, switch):
    run_classifier('train', '--work-dir', tmp_path, options=['train_cfg.max_epochs=1', switch])
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
    assert ('ema_state_dict' in saved) == ('ema' in switch)


def test_own_classes_template_trains(shapes, tmp_path):
    text = (ROOT / 'configs/own_classes.py').read_text()
    text = text.replace("'data/my_classes/'", repr(f'{shapes}/classes/'))
    config = tmp_path / 'my_classes.py'
    config.write_text(text.replace('num_classes = 102', 'num_classes = 8'))
    path = tmp_path / 'weights.pth'  # of ImageNet's thousand classes
    torch.save(MODELS.build(load_config('rexnet-100_in1k').model).state_dict(), path)
    small = ['train_cfg.max_epochs=1']
    small += [f'model.init_cfg.checkpoint={path}', *SHORT_CLASSIFIER[3:]]
    tool('train')([str(config), '--work-dir', str(tmp_path / 'run'), '--cfg-options', *small])
    log = log_of(tmp_path / 'run')
    assert re.search(r'head\.fc\.weight .*\(1000, 1280\).*\(8, 1280\)', log)
    assert 'accuracy/top1' in log


LONG = ['train_cfg.max_epochs=4', 'randomness.seed=3', 'train_dataloader.batch_size=4']


def start(work_dir, *arguments, options=LONG):
    command = [sys.executable, str(ROOT / 'tools/train.py'), CLASSIFIER, '--work-dir', work_dir]
    return subprocess.Popen(
        [*map(str, command), *arguments, '--cfg-options', *SHORT_CLASSIFIER, *options],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process, condition):
    """SIGKILL as soon as the condition holds."""
    while not condition():
        assert process.poll() is None, 'the run ended before it could be killed'
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def weights(path):
    return torch.load(path, weights_only=False)['state_dict']


def test_killed_runs_end_as_if_they_had_not_been(shapes, tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert start(whole).wait() == 0

    def lines():
        return sum(p.read_text().count('"loss"') for p in killed.glob('*/vis_data/scalars.json'))

    # In the middle of the second epoch's steps, and while the next checkpoint is written.
    kill_when(start(killed), lambda: lines() >= 11)
    assert (killed / 'epoch_1.pth').is_file()
    kill_when(start(killed, '--resume'), lambda: list(killed.glob('epoch_2*.pth')))
    assert start(killed, '--resume').wait() == 0
    expected, actual = weights(whole / 'epoch_4.pth'), weights(killed / 'epoch_4.pth')
    assert list(expected) == list(actual)
    assert all(torch.equal(value, actual[name]) for name, value in expected.items())
    # Not because training changes nothing.
    before = weights(whole / 'epoch_3.pth')
    assert not all(torch.equal(value, before[name]) for name, value in expected.items())


def test_resumed_with_workers_and_accumulated_gradients(shapes, tmp_path):
    # 11 batches an epoch: the last one of each odd epoch waits for the first of the next.
    switches = [
        'train_dataloader.num_workers=1',
        'train_dataloader.batch_size=3',
        'optim_wrapper.accumulative_counts=2',
        'default_hooks.ema.type=EMAHook',
        'default_hooks.ema.momentum=0.1',
        'randomness.seed=3',
        'default_hooks.checkpoint.max_keep_ckpts=9',
        'train_cfg.max_epochs=3',
    ]
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    run_classifier('train', '--work-dir', whole, options=switches)
    steps = json.loads(
        sorted(whole.glob('*/vis_data/scalars.json'))[0].read_text().splitlines()[-1]
    )
    assert steps['step'] // 3 % 2, 'the set has another size: choose another batch'
    resumed.mkdir()
    shutil.copy(whole / 'epoch_1.pth', resumed)
    run_classifier('train', '--work-dir', resumed, '--resume', options=switches)
    for key in ('state_dict', 'ema_state_dict'):
        expected, actual = (
            torch.load(folder / 'epoch_3.pth', weights_only=False)[key]
            for folder in (whole, resumed)
        )
        assert all(torch.equal(value, actual[name]) for name, value in expected.items()), key
    with pytest.raises(UserError, match='averaged weights'):
        train(CLASSIFIER, work_dir=resumed, resume='auto', overrides=as_overrides(SHORT_CLASSIFIER))


def test_learning_rate_is_scaled_by_the_batch_of_a_step(shapes, tmp_path):
    options = {
        **as_overrides(SHORT_CLASSIFIER),
        'train_cfg.max_epochs': 1,
        'optim_wrapper.accumulative_counts': 4,  # of 8: 32, which the config's is for
    }
    expected = load_config(CLASSIFIER).optim_wrapper.optimizer.lr
    runner = train(CLASSIFIER, work_dir=tmp_path, auto_scale_lr=True, overrides=options)
    assert runner.optim_wrapper.param_groups[0]['initial_lr'] == pytest.approx(expected)


def test_resuming_keeps_the_seed(classifier_run, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(classifier_run, work_dir)
    (work_dir / 'last_checkpoint').write_text('')
    seed = torch.load(classifier_run / 'epoch_2.pth', weights_only=False)['meta']['seed']
    assert load_config(CLASSIFIER).get('randomness', {}).get('seed') is None
    run_classifier('train', '--work-dir', work_dir, '--resume', options=['train_cfg.max_epochs=3'])
    assert torch.load(work_dir / 'epoch_3.pth', weights_only=False)['meta']['seed'] == seed


def test_runs_that_begin_in_one_second_log_apart(tmp_path, monkeypatch):
    config = tmp_path / 'toy.py'
    config.write_text(toy_runs.BY_EPOCH)
    monkeypatch.setattr(time, 'strftime', lambda *moment: '20260101_120000')
    first, second = (train(config, work_dir=tmp_path / name) for name in ('a', 'b'))
    assert (first.timestamp, second.timestamp) == ('20260101_120000', '20260101_120000_2')
    for runner in (first, second):
        folder = Path(runner.work_dir, runner.timestamp)
        assert len(list(folder.glob('*.log'))) == 1
        assert (folder / 'vis_data/scalars.json').read_text().count('"loss"') == 4
