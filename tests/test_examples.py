"""Every fenced block of README and docs: commands are read by their parsers, and all of it runs.

A test is named by its page and line. Commands of `mmscale` run from a wheel, those of
`python tools/` from the checkout, in a folder with small data (:mod:`examples`).
"""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zipfile
from ast import literal_eval
from functools import cache
from importlib import import_module
from pathlib import Path

import examples
import pytest
import torch
from commands import ROOT, targets
from wheels import build_wheel

import mmscale
from mmscale import cli
from mmscale.benchmark.forms import Case
from mmscale.checks.arguments import find_arguments
from mmscale.engine.building import build_model
from mmscale.engine.config import find_config, load_config, settled

BLOCKS = list(examples.blocks())
COMMANDS = [c for b in BLOCKS if b.language == examples.SHELL for c in examples.commands(b)]
PYTHON = [block for block in BLOCKS if block.language == examples.PYTHON]

# What is read by a parser, but not run: how a command begins, and why.
MINUTES = 'takes 12 minutes; tests/cli/test_demo.py runs a short one'
ENVIRONMENT = 'makes an environment, which wants a package index'
GPUS = 'wants GPUs; tests/test_launchers.py starts two processes'
ADE20K = 'wants ADE20K; tests/test_mmseg.py builds every config'
NOT_RUN = {
    'make demo': MINUTES,
    'mmscale demo': MINUTES,
    'python tools/demo.py': MINUTES,
    'make setup': ENVIRONMENT,
    'make test': 'runs this test',
    'make lint': 'is the first part of make test',
    'git clone': 'wants a network',
    'cd mmscale': 'is where git has cloned to',
    'python3 -m venv': ENVIRONMENT,
    '. mm/bin/activate': ENVIRONMENT,
    '. .venv/bin/activate': ENVIRONMENT,
    'pip install': 'wants a package index; tests/test_packaging.py builds the wheel',
    'make dist': 'builds what the last commit has; tests/test_supply.py does it',
    'pipx run': 'wants a package index',
    'empty/bin/pip install': ENVIRONMENT,
    'python docs/transcripts/roads.py': ENVIRONMENT,
    'pip uninstall': 'would change the environment of the tests',
    'bash tools/dist_train.sh': GPUS,
    'mmscale launch 8': GPUS,
    'mmscale train my_config.py --track': 'wandb and mlflow are not installed',
    'trtexec': 'wants TensorRT and a GPU',
    'mmscale train upernet_rexnet-100_4xb4-80k_ade20k-512x512': ADE20K,
    'mmscale train mmseg::upernet': ADE20K,
    'python docs/benchmarks/any_config.py': 'takes hours',
    'python tools/benchmark.py rexnet-100:fused rexnet-100:onnxruntime': 'timm is not installed',
    'python tools/benchmark.py rexnet-100:native': 'timm is not installed',
    'python tools/benchmark.py --target': 'timm is not installed',
}

# What stands in for some words when a command runs.
STAND_INS = {
    '--amp': '',  # wants a GPU
    '16x224x224': '1x64x64',
    '4x224x224': '1x96x96',
    '2x800x1344': '1x128x128',
}
# What is added to commands that have these words, so that they take moments and need no hub.
LOADER = 'train_dataloader.num_workers=0 train_dataloader.persistent_workers=False'
SHORT = f'--cfg-options {LOADER} train_cfg.max_epochs=1'
SCRATCH = f'{SHORT} model.backbone.init_cfg=None'
SMALL = (
    "'train_dataloader.dataset.pipeline.2.scale=(160,160)' "
    "'val_dataloader.dataset.pipeline.1.scale=(160,160)'"
)
SHORTER = {
    'train my_config.py --resume': f'{SCRATCH} --work-dir work_dirs/new',
    'train my_config.py': SCRATCH,
    'train mmdet::retinanet/retinanet_r50_fpn_1x_coco': f'{SCRATCH} {SMALL}',
    'init_cfg.checkpoint=': f'{SHORT} {SMALL}',
    'train.py configs/faster_rcnn': f'{SCRATCH} {SMALL}',
    '_in1k.py': f'{SHORT} model.head.num_classes=8',
    'train segformer': '--cfg-options train_cfg.max_iters=2 train_cfg.val_interval=2',
    'make_shapes.py': '--train 4 --val 2 --train-crops 32 --val-crops 16',
    'benchmark.py': '--rounds 1',
}

# What the Python of a page takes for granted.
EXPORTED = """
from mmscale.export import export
export('my_config.py', 'work_dirs/my_config/epoch_12.pth', 'detector.onnx', shape=(64, 64))
"""
GIVEN = {
    'docs/export.md': f"""{EXPORTED}
import numpy as np
images, sizes = np.zeros((1, 3, 64, 64), np.uint8), np.array([[64, 64]])
""",
    'docs/inference.md': EXPORTED,
    'docs/pretraining.md': """
import os, torch
from mmscale.engine.building import build_model
from mmscale.engine.config import load_config
os.makedirs('work_dirs/rexnet-100_in1k')
state = build_model(load_config('rexnet-100_in1k')).state_dict()
torch.save(dict(state_dict=state), 'work_dirs/rexnet-100_in1k/epoch_400.pth')
""",
    'docs/speed.md': """
import torch
from torch import nn
class MyBlock(nn.Module):
    pass
MyFusedBlock = MyBlock
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
images = torch.zeros(1, 3, 16, 16)
""",
    'docs/weights.md': "X = 'timm://rexnet_100.nav_in1k'",
}
# Whose Python exports or compiles: in a process of its own.
SLOW = ('docs/export.md', 'docs/inference.md', 'docs/pretraining.md', 'docs/speed.md')
# Whose Python runs in another test.
ELSEWHERE = {
    'CONTRIBUTING.md': 'tests/test_contributing.py',
    'docs/plain_pytorch.md': 'tests/test_plain_pytorch.py',
}
# What a config is merged into that names no base.
BASE = 'mmscale::scalenet/faster-rcnn_scalenet-50_fpn_1x_coco.py'
# Commands of others, of which only the shell knows whether they work.
FOREIGN = ('.', 'cd', 'empty/bin/pip', 'export', 'git', 'mkdir', 'pipx', 'python3', 'trtexec')


@pytest.fixture(scope='module')
def small(shapes, tmp_path_factory):
    """The folder with small data; what is written into it stays there."""
    folder = tmp_path_factory.mktemp('examples') / 'small'
    examples.make_folder(folder, shapes)
    return folder


def pages_of(found):
    """The pages of blocks or commands, each once."""
    return list(dict.fromkeys(item.page for item in found))


# Every block is of a kind that is tried


@pytest.mark.parametrize('block', BLOCKS, ids=str)
def test_language_says_how_a_block_is_tried(block):
    assert block.language in (examples.SHELL, examples.PYTHON, 'text', 'yaml')


def test_tables_have_no_row_of_yesterday():
    texts = [command.text for command in COMMANDS]
    for words in NOT_RUN:
        assert any(text.startswith(words) for text in texts), f'no command begins with {words!r}'
    for words in STAND_INS:
        assert any(words in text for text in texts), f'no command has {words!r}'
    scripts = ''.join(map(script, RUN))
    for words in SHORTER:
        assert words in scripts, f'no command that runs has {words!r}'
    for page in (*GIVEN, *SLOW, *ELSEWHERE):
        assert page in pages_of(PYTHON), f'{page} has no Python'
    for test in ELSEWHERE.values():
        assert (ROOT / test).exists()


# Commands


def check(words):
    """Check a command's words: its parser takes them, and what they name is there."""
    match words:
        case ['mmscale', name, *rest]:
            assert name in cli.COMMANDS
            module = import_module(f'mmscale.cli.{name.replace("-", "_")}')
            check_arguments(module.build_parser(), rest)
        case ['python', path, *rest] if path.startswith('tools/'):
            assert (ROOT / path).exists()
            check(['mmscale', Path(path).stem.replace('_', '-'), *rest])
        case ['bash', 'tools/dist_train.sh', config, processes, *rest]:
            check(['mmscale', 'launch', processes, 'train', config, *rest])
        case ['python', path, *rest]:
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend((ROOT / path).parent)  # as Python does for a script
                check_arguments(runpy.run_path(ROOT / path)['build_parser'](), rest)
        case ['make', target, *_]:
            assert re.search(rf'^{target}:', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        case ['pip', *rest]:
            for extras in re.findall(r'\[(.*)\]', ' '.join(rest)):
                assert set(extras.split(',')) <= extras_of_setup()
        case _:
            assert words[0] in FOREIGN, f'{words[0]} is a command that this test does not know'


def check_arguments(parser, words):
    """Check that a parser takes the words, that configs are there, and that options apply."""
    args = parser.parse_args([examples.replaced(word, examples.PLACEHOLDERS) for word in words])
    given = {'config': None, 'target': None, 'overrides': None, 'backbone': None, **vars(args)}
    config = given['config'] or given['target']
    if 'run' in given:  # of launch
        check(['mmscale', args.run, *args.rest])
    elif 'cases' in given:  # of benchmark
        for case in args.cases:
            Case.parse(case)
        assert set(args.target) <= {*targets()['TARGETS'], *targets()['SPECIAL']}
    elif given['overrides'] or given['backbone'] or '::' in str(config):
        assert misfits(config, repr(given['overrides']), repr(given['backbone'])) == []
    elif config and not Path(config).exists():
        find_config(config)


@cache
def misfits(config, overrides, backbone):
    """What does not fit in a config with these options, by the check of arguments."""
    cfg = load_config(config)
    if literal_eval(backbone):
        name, arguments = literal_eval(backbone)
        cfg = mmscale.adapt(cfg, name, proof=False, **arguments)
    cfg = settled(cfg, config, literal_eval(overrides))
    splits = tuple(split for split in ('train', 'val', 'test') if cfg.get(f'{split}_dataloader'))
    return [str(finding) for finding in find_arguments(cfg, splits)]


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_command_is_read_by_its_own_parser(command, small, monkeypatch, capsys):
    monkeypatch.chdir(small)
    try:
        check(command.words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


@pytest.mark.parametrize(
    'text',
    [
        'mmscale trains my_config.py',
        'mmscale train my_confg.py',
        'mmscale train my_config.py --workdir x',
        'mmscale train my_config.py --cfg-options model.backbone.widths=1',
        'mmscale launch 8 train my_config.py --workdir x',
        'python tools/tain.py my_config.py',
        'python tools/benchmark.py rexnet-100:fuse',
        'make demos',
        "pip install 'mmscale[reports]'",
        'mmscales train my_config.py',
    ],
)
def test_a_mistake_is_found(text, small, monkeypatch):
    monkeypatch.chdir(small)
    with pytest.raises((SystemExit, AssertionError, mmscale.UserError)):
        check(examples.Command('page.md', 1, text).words)


@cache
def extras_of_setup():
    """The names of setup.py's extras."""
    text = (ROOT / 'setup.py').read_text(encoding='utf-8')
    return set(re.findall(r"^        '([\w-]+)': ", text, re.MULTILINE))


@pytest.fixture(scope='module')
def programs(tmp_path_factory):
    """A folder with `mmscale` from a wheel, and this Python as `python`."""
    folder, wheel = tmp_path_factory.mktemp('bin'), tmp_path_factory.mktemp('wheel')
    with zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp('copy'))) as archive:
        archive.extractall(wheel)
    for name, root, options in (('mmscale', wheel, '-m mmscale '), ('python', ROOT, '')):
        text = f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} {options}"$@"\n'
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def script(page):
    """A page's commands as a script: each is announced, and shortened."""
    lines = ['set -e']
    for block in (b for b in BLOCKS if b.page == page and b.language == examples.SHELL):
        # A block is one way to begin among others of its page.
        lines += [f'rm -rf {out}.py {out}_data' for out in re.findall(r'-o (\S+)\.py', block.text)]
        for command in examples.commands(block):
            if not command.text.startswith(tuple(NOT_RUN)):
                text = examples.replaced(examples.runnable(command), STAND_INS)
                more = next((more for words, more in SHORTER.items() if words in text), '')
                text = f'{text} {more}'
                lines += [f'echo {shlex.quote(f"{command}: {text}")} >&2', text]
    return '\n'.join(lines)


RUN = [page for page in pages_of(COMMANDS) if script(page) != 'set -e']


@pytest.mark.slow
@pytest.mark.parametrize('page', RUN)
def test_commands_run(page, small, programs, tmp_path):
    shutil.copytree(small, tmp_path / 'here', symlinks=True)
    done = subprocess.run(
        ['bash', '-c', script(page)],
        cwd=tmp_path / 'here',
        env={
            **os.environ,
            'COCO_ROOT': 'data/coco',
            'HOME': str(tmp_path / 'here'),
            'PATH': f'{programs}:{os.environ["PATH"]}',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


# Python


HERE = [block for block in PYTHON if block.page not in ELSEWHERE]
CONFIGS = [block for block in HERE if examples.is_config(block.text)]
PROGRAMS = pages_of(block for block in HERE if block not in CONFIGS)


@pytest.mark.parametrize('block', CONFIGS, ids=str)
def test_config_is_read_and_its_model_built(block, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(block.text if '_base_' in block.text else f'_base_ = {BASE!r}\n{block.text}')
    cfg = load_config(path)
    assert [str(finding) for finding in find_arguments(cfg, ('train', 'val', 'test'))] == []
    with torch.device('meta'):
        build_model(cfg)


@pytest.mark.parametrize('page', [page for page in PROGRAMS if page not in SLOW])
def test_python_runs(page, small, monkeypatch):
    monkeypatch.chdir(small)
    examples.run_python(page, GIVEN.get(page, ''))


@pytest.mark.slow
@pytest.mark.parametrize('page', SLOW)
def test_python_runs_in_a_process_of_its_own(page, small, tmp_path):
    shutil.copytree(small, tmp_path / 'here', symlinks=True)
    done = subprocess.run(
        [sys.executable, examples.__file__, page, GIVEN.get(page, '')],
        cwd=tmp_path / 'here',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
