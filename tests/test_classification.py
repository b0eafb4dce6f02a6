"""Classifiers through the same tools: metrics, broken images, kills, processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import ROOT, tool
from mmengine.registry import MODELS
from torch.utils.data import DataLoader, Dataset

from mmscale.engine.config import load_config
from mmscale.engine.hooks import EpochSeedHook
from mmscale.engine.training import train
from mmscale.errors import UserError
from mmscale.utils.files import WholeFileBackend, written_aside

CLASSIFIER = 'shapes/rexnet-100_shapes'
SHORT = [
    'model.backbone.width_mult=0.9',
    'model.head.in_channels=1152',
    'train_cfg.max_epochs=2',
    'train_dataloader.batch_size=8',
    'default_hooks.logger.interval=1',
    *(f'{split}_dataloader.num_workers=0' for split in ('train', 'val', 'test')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
]


def run(name, *arguments, options=()):
    tool(name)([CLASSIFIER, *map(str, arguments), '--cfg-options', *SHORT, *options])


def log_of(work_dir):
    return '\n'.join(path.read_text() for path in sorted(Path(work_dir).glob('*/*.log')))


@pytest.fixture(scope='module')
def trained(shapes, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('runs') / 'classifier'
    run('train', '--work-dir', work_dir)
    return work_dir


def test_testing_reports_accuracy_speed_and_the_worst_classes(trained, tmp_path):
    run('test', trained / 'epoch_2.pth', '--work-dir', tmp_path)
    log = log_of(tmp_path)
    for word in ('accuracy/top1', 'accuracy/top5', 'worst/recall', 'images_per_second'):
        assert word in log
    assert 'Classes that are recognised least:' in log
    assert 'taken for' in log


def test_a_classifier_goes_into_a_detector(trained, shapes, tmp_path):
    runner = train(
        'shapes/faster-rcnn_rexnet-100_fpn_shapes',
        work_dir=tmp_path,
        overrides={
            'model.backbone.width_mult': 0.9,
            'model.neck.in_channels': [36, 56, 117, 168],
            'model.backbone.init_cfg': dict(
                type='Pretrained', checkpoint=str(trained / 'epoch_2.pth')
            ),
            'train_cfg.max_iters': 1,
            'train_cfg.val_interval': 2,
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'optim_wrapper.optimizer.lr': 0.0,
        },
    )
    log = log_of(tmp_path)
    assert 'of ReXNet 0.9 from' in log
    assert 'left out' in log
    weights = torch.load(trained / 'epoch_2.pth', weights_only=False)['state_dict']
    loaded = runner.model.backbone.state_dict()
    assert torch.equal(loaded['stem.conv.weight'], weights['backbone.stem.conv.weight'])


@pytest.mark.parametrize(
    'switch',
    ['default_hooks.ema.type=EMAHook', 'optim_wrapper.accumulative_counts=2'],
    ids=['EMA', 'accumulation'],
)
def test_switches(shapes, tmp_path, switch):
    run('train', '--work-dir', tmp_path, options=['train_cfg.max_epochs=1', switch])
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
    small += [f'model.init_cfg.checkpoint={path}', *SHORT[3:]]
    tool('train')([str(config), '--work-dir', str(tmp_path / 'run'), '--cfg-options', *small])
    log = log_of(tmp_path / 'run')
    assert 'head.fc.weight is (1000, 1280) in the file and (8, 1280) in the model' in log
    assert 'accuracy/top1' in log


def test_broken_images_are_named_and_the_run_goes_on(shapes, tmp_path, monkeypatch):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    broken = [next((root / f'classes/{split}').rglob('*.jpg')) for split in ('train', 'val')]
    broken[0].write_bytes(b'')
    broken[1].write_bytes(b'no image')
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    run('train', '--work-dir', tmp_path / 'run')
    log = log_of(tmp_path / 'run')
    assert f"image '{broken[0]}' cannot be read" in log
    assert f"image '{broken[1]}' cannot be read" in log
    assert log.count('cannot be read') == 2
    assert 'accuracy/top1' in log


def test_training_stops_where_no_image_can_be_read(shapes, tmp_path, monkeypatch):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    for path in (root / 'classes/train').rglob('*.jpg'):
        path.write_bytes(b'no image')
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    with pytest.raises(SystemExit, match='error: 100 images in a row cannot be read'):
        run('train', '--work-dir', tmp_path / 'run')


FOLDERS = {
    'missing': (lambda root: shutil.rmtree(root / 'classes'), ['is missing', 'IMAGENET_ROOT']),
    'no classes': (
        lambda root: [shutil.rmtree(p) for p in (root / 'classes/train').iterdir()],
        ['has no class folders'],
    ),
    'other classes': (
        lambda root: (root / 'classes/val/circle2').mkdir(),
        ["differ in the classes ['circle2']"],
    ),
    'count': (
        lambda root: [(root / f'classes/{split}/zebra').mkdir() for split in ('train', 'val')],
        ['model.head.num_classes=8', '9 class folders', 'model.head.num_classes=9'],
    ),
}


@pytest.mark.parametrize(('change', 'words'), FOLDERS.values(), ids=FOLDERS)
def test_wrong_folders_are_one_error(shapes, tmp_path, monkeypatch, change, words):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    change(root)
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    with pytest.raises(UserError) as error:
        train(CLASSIFIER, work_dir=tmp_path / 'run')
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / 'run').exists()


# Kills.

LONG = ['train_cfg.max_epochs=4', 'randomness.seed=3', 'train_dataloader.batch_size=4']


def start(work_dir, *arguments, options=LONG):
    command = [sys.executable, str(ROOT / 'tools/train.py'), CLASSIFIER, '--work-dir', work_dir]
    return subprocess.Popen(
        [*map(str, command), *arguments, '--cfg-options', *SHORT, *options],
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
    ]
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    run('train', '--work-dir', whole, options=[*switches, 'train_cfg.max_epochs=3'])
    steps = json.loads(
        sorted(whole.glob('*/vis_data/scalars.json'))[0].read_text().splitlines()[-1]
    )
    assert steps['step'] // 3 % 2, 'the set has another size: choose another batch'
    resumed.mkdir()
    shutil.copy(whole / 'epoch_1.pth', resumed)
    run('train', '--work-dir', resumed, '--resume', options=[*switches, 'train_cfg.max_epochs=3'])
    for key in ('state_dict', 'ema_state_dict'):
        expected, actual = (
            torch.load(folder / 'epoch_3.pth', weights_only=False)[key]
            for folder in (whole, resumed)
        )
        assert all(torch.equal(value, actual[name]) for name, value in expected.items()), key
    with pytest.raises(UserError, match='averaged weights'):
        train(CLASSIFIER, work_dir=resumed, resume='auto', overrides=_overrides(SHORT))


def _overrides(options):
    return {key: yaml.safe_load(value) for key, _, value in (o.partition('=') for o in options)}


def test_workers_draw_something_else_in_every_epoch():
    loader = DataLoader(Drawn(), num_workers=1)
    runner = SimpleNamespace(train_dataloader=loader, seed=0, epoch=0, iter=0)
    drawn = []
    for runner.epoch in (0, 1, 0):
        EpochSeedHook().before_train_epoch(runner)
        drawn.append(next(iter(loader)).item())
    assert drawn[0] == drawn[2] != drawn[1]


class Drawn(Dataset):
    """Random numbers."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return torch.rand(())


def test_other_classes_are_not_scored(trained, shapes, tmp_path):
    renamed = tmp_path / 'classes'
    shutil.copytree(shapes / 'classes', renamed)
    for split in ('train', 'val'):
        (renamed / split / 'circle').rename(renamed / split / 'zircle')
    options = [f'test_dataloader.dataset.data_root={renamed}']
    with pytest.raises(SystemExit, match=r"begin to differ at \('circle', "):
        run('test', trained / 'epoch_2.pth', '--work-dir', tmp_path / 'a', options=options)


def test_few_classes_have_no_top_five():
    few = load_config(CLASSIFIER, {'model.head.num_classes': 3})
    assert few.val_evaluator.topk == (1,)
    assert load_config(CLASSIFIER).val_evaluator.topk == (1, 5)


def test_learning_rate_is_scaled_by_the_batch_of_a_step(shapes, tmp_path):
    options = {
        **_overrides(SHORT),
        'train_cfg.max_epochs': 1,
        'optim_wrapper.accumulative_counts': 4,  # of 8: 32, which the config's is for
    }
    expected = load_config(CLASSIFIER).optim_wrapper.optimizer.lr
    runner = train(CLASSIFIER, work_dir=tmp_path, auto_scale_lr=True, overrides=options)
    assert runner.optim_wrapper.param_groups[0]['initial_lr'] == pytest.approx(expected)


def test_resuming_keeps_the_seed(trained, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(trained, work_dir)
    (work_dir / 'last_checkpoint').write_text('')
    seed = torch.load(trained / 'epoch_2.pth', weights_only=False)['meta']['seed']
    assert load_config(CLASSIFIER).get('randomness', {}).get('seed') is None
    run('train', '--work-dir', work_dir, '--resume', options=['train_cfg.max_epochs=3'])
    assert torch.load(work_dir / 'epoch_3.pth', weights_only=False)['meta']['seed'] == seed


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'file.pth'
    WholeFileBackend().put(b'old', path)

    def fail():
        with written_aside(path) as temporary:
            temporary.write_bytes(b'ne')
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b'old'
    WholeFileBackend().put(b'new', path)
    assert path.read_bytes() == b'new'
    assert [p.name for p in tmp_path.iterdir()] == ['file.pth']


# Processes.


RESNET = (
    "dict(backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=8, stem_channels=8, "
    'norm_eval=True), head=dict(in_channels=64, dropout=0.0))'
)
REXNET = 'dict(backbone=dict(norm_eval=True), head=dict(dropout=0.0))'


# ResNet's 3x3 convolutions have other strides in channels-last memory, ReXNet's almost none.
@pytest.mark.parametrize('model', [REXNET, RESNET], ids=['rexnet', 'resnet'])
def test_two_processes_train_like_one(model, shapes, tmp_path):
    # 20 steps of 8 samples; nothing random, and BN in eval mode.
    plain = tmp_path / 'plain.py'
    plain.write_text(
        f"_base_ = '{ROOT}/configs/{CLASSIFIER}.py'\n"
        "custom_imports = dict(imports=['mmscale.models.classifiers', 'recording'])\n"
        "custom_hooks = [dict(type='mmengine.RecordHook'), dict(type='mmscale.ChannelsLastHook')]\n"
        "pipeline = [dict(type='mmscale.LoadImage'), dict(type='PackInputs')]\n"
        'train_dataloader = dict(dataset=dict(pipeline=pipeline))\n'
        f'model = {model}\n'
        "sgd = dict(_delete_=True, type='SGD', lr=0.05, weight_decay=0.0)\n"
        'optim_wrapper = dict(optimizer=sgd)\n'
        'param_scheduler = []\n'
        'randomness = dict(seed=5)\n'
    )
    records = {}
    for processes in (1, 2):
        record = tmp_path / str(processes)
        record.mkdir()
        short = [text for text in SHORT if model == REXNET or not text.startswith('model.')]
        options = [*short, f'train_dataloader.batch_size={8 // processes}']
        options += ['train_cfg.max_epochs=5', 'train_cfg.val_interval=9']
        arguments = [str(plain), '--work-dir', str(record / 'run')]
        if processes > 1:
            command = ['bash', str(ROOT / 'tools/dist_train.sh'), arguments[0], '2', *arguments[1:]]
        else:
            command = [sys.executable, str(ROOT / 'tools/train.py'), *arguments]
        env = {**os.environ, 'RECORD': str(record), 'OMP_NUM_THREADS': '1', 'PORT': '29533'}
        env['PATH'] = f'{Path(sys.executable).parent}:{env["PATH"]}'
        env['PYTHONPATH'] = f'{ROOT / "tests"}:{env.get("PYTHONPATH", "")}'
        done = subprocess.run(
            [*command, '--cfg-options', *options], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        records[processes] = [
            json.loads((record / f'{rank}.json').read_text()) for rank in range(processes)
        ]
    (one,), (first, second) = records[1], records[2]
    both = [(a + b) / 2 for a, b in zip(first['losses'], second['losses'], strict=True)]
    assert len(one['losses']) == 20
    assert both == pytest.approx(one['losses'], abs=1e-5)
    assert one['losses'][-1] != pytest.approx(one['losses'][0], abs=1e-3)
    assert first['sums'] == second['sums']
    assert first['sums'] == pytest.approx(one['sums'], abs=1e-3)
