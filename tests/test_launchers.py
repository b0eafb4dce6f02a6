"""Scripts and other programs that start runs: processes, slurm, mmdet's own tool."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toy_runs
from commands import ROOT
from runs import CLASSIFIER, DETECTOR, NARROW, SHORT, SHORT_CLASSIFIER, environment_of_processes

from mmscale.checkpoints import read_file
from mmscale.engine.resuming import newest_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize('own_tool', [True, False], ids=['dist_train.sh', "mmdet's train.py"])
def test_other_ways_to_train(shapes, tmp_path, own_tool):
    import mmdet

    config = ROOT / f'configs/{DETECTOR}.py'
    if own_tool:
        command = ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), '2']
    else:
        mmdet_train = Path(mmdet.__file__).parent / '.mim/tools/train.py'
        command = [sys.executable, str(mmdet_train), str(config)]
    command += ['--work-dir', str(tmp_path), '--cfg-options', *SHORT]
    env = environment_of_processes(29517)
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / 'iter_4.pth').is_file()


def test_launcher_ends_with_what_is_wrong():
    env = environment_of_processes(29534)
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), 'faster_rcnn_rexnet', '2']
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    # In the report; which process failed first, and so is its root cause, is open.
    assert re.search("traceback : error: .*'faster_rcnn_rexnet'", done.stderr)


@pytest.mark.parametrize(('given', 'per_node'), [({}, 8), ({'GPUS': '4'}, 4), ({'GPUS': '16'}, 8)])
def test_slurm_is_asked_for_the_gpus_of_a_node(given, per_node, tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    environment = {**os.environ, **given, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    command = ['bash', ROOT / 'tools/slurm_train.sh', 'gpu', 'job', 'config.py', 'out', '--amp']
    asked = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    words = asked.stdout.split()
    assert f'--ntasks={given.get("GPUS", 8)}' in words
    assert {f'--ntasks-per-node={per_node}', f'--gres=gpu:{per_node}'} <= set(words)
    assert words[-6:] == ['config.py', '--work-dir', 'out', '--launcher', 'slurm', '--amp']


@pytest.mark.slow
@pytest.mark.parametrize('to', ['one', 'all'])
@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
def test_two_processes_are_told_to_stop(kind, to, tmp_path):
    """One of them by itself, or both by their launcher: saved once, and gone on from there."""
    config, run = tmp_path / f'{kind}.py', tmp_path / 'run'
    text = toy_runs.BY_ITERATION
    if kind == 'epochs':  # two iterations each: five samples a process, of which one is dropped
        text = toy_runs.BY_EPOCH.replace('max_epochs=4', 'max_epochs=10')
        text += '\ntrain_dataloader.update(drop_last=True)\n'
    hook = dict(type='SignalHook', number=int(signal.SIGTERM), place='train', to=to)
    config.write_text(text + f'\ncustom_hooks = [{hook}]\n')
    env = environment_of_processes(29535)
    env['PYTHONPATH'] = f'{ROOT / "tests/helpers"}:{env.get("PYTHONPATH", "")}'
    command = ['bash', ROOT / 'tools/dist_train.sh', config, '2', '--work-dir', run, '--resume']

    def start(*options):
        options = ['--cfg-options', 'randomness.seed=3', *options]
        return subprocess.run(
            [*map(str, command), *options], env=env, capture_output=True, text=True
        )

    stopped = start()
    said = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0, said[-3000:]
    assert 'Traceback (most recent call last):\n  File "' + str(ROOT / 'tools') not in said
    if to == 'one':  # told to stop itself, the launcher has no report of its processes
        assert re.search(r'exitcode *: 143', said), said[-3000:]
    # The launcher's signal comes when it comes: after this iteration, or one of the next.
    (saved,) = re.findall(r'the run has stopped after iteration (\d+)', said)
    (name,) = re.findall(r'is saved in (\S+);', said)
    assert int(saved) == 7 if to == 'one' else int(saved) >= 7
    interrupted = run / f'iter_{saved}.pth'
    assert [interrupted, Path(name)] == [Path(name), run / Path(name).name]
    assert read_file(interrupted)['meta']['iter'] == int(saved)
    done = start('custom_hooks=[]')
    assert done.returncode == 0, done.stderr[-3000:]
    last = Path(newest_checkpoint(run))
    assert last.name == ('epoch_10.pth' if kind == 'epochs' else 'iter_20.pth')
    assert read_file(last)['meta']['iter'] == 20
    names = sorted(path.name for path in run.glob('*.pth*'))
    assert len(names) == 2, names  # the last one and the best one
    log = '\n'.join(path.read_text() for path in run.rglob('*.log'))
    assert f'iter: {saved}' in log


RESNET = (
    "dict(backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=8, stem_channels=8, "
    'norm_eval=True), head=dict(in_channels=64, dropout=0.0))'
)
REXNET = 'dict(backbone=dict(norm_eval=True), head=dict(dropout=0.0))'


# ResNet's 3x3 convolutions have other strides in channels-last memory, ReXNet's almost none.
@pytest.mark.parametrize(
    'model',
    [
        pytest.param(REXNET, id='rexnet'),
        pytest.param(RESNET, id='resnet', marks=pytest.mark.slow),
    ],
)
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
        short = [o for o in SHORT_CLASSIFIER if model == REXNET or o not in NARROW]
        options = [*short, f'train_dataloader.batch_size={8 // processes}']
        options += ['train_cfg.max_epochs=5', 'train_cfg.val_interval=9']
        arguments = [str(plain), '--work-dir', str(record / 'run')]
        if processes > 1:
            command = ['bash', str(ROOT / 'tools/dist_train.sh'), arguments[0], '2', *arguments[1:]]
        else:
            command = [sys.executable, str(ROOT / 'tools/train.py'), *arguments]
        env = environment_of_processes(29533, RECORD=str(record))
        env['PYTHONPATH'] = f'{ROOT / "tests/helpers"}:{env.get("PYTHONPATH", "")}'
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
