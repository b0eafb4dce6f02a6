"""The backbones in mmseg: our configs, mmseg's own ways to run them, and our commands."""

import copy
import json
import re
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from commands import ROOT, tool
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.registry import MODELS, DefaultScope
from runs import log_of, scalars

from mmscale import feature_channels
from mmscale.engine.config import load_config
from mmscale.engine.counting import count
from mmscale.models import BACKBONES

CONFIGS = sorted(path.name for path in (ROOT / 'configs/segmentation').glob('*.py'))
load_once = cache(config_utils.load)


@pytest.fixture
def _mmseg():
    pytest.importorskip('mmseg')


needs_mmseg = pytest.mark.usefixtures('_mmseg')


@cache
def config(name):
    """One of our configs, with roots of the data sets of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for root in ('CITYSCAPES', 'ADE20K', 'COCO', 'SEMANTIC'):
            environment.setenv(f'{root}_ROOT', f'/some/where/{root}')
        # mmengine reads hundreds of metafiles for every base of another package.
        environment.setattr(config_utils, 'load', load_once)
        return Config.fromfile(ROOT / 'configs/segmentation' / name)


# Our configs


def test_there_are_configs_for_every_method_backbone_and_set():
    assert len(CONFIGS) == 18
    for method in ('upernet', 'fcn', 'deeplabv3plus', 'segformer'):
        for backbone in ('rexnet-100', 'scalenet-50'):
            for data in ('cityscapes', 'ade20k'):
                assert len([n for n in CONFIGS if re.match(f'{method}_{backbone}.*{data}', n)]) == 1


@needs_mmseg
@pytest.mark.parametrize('name', CONFIGS)
def test_a_segmentor_builds_and_is_what_its_name_says(name):
    cfg = config(name)
    assert cfg.default_scope == 'mmseg'
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        segmentor = MODELS.build(copy.deepcopy(cfg.model))
    backbone = segmentor.backbone
    channels = list(feature_channels(**cfg.model.backbone))
    for head in filter(None, (cfg.model.decode_head, cfg.model.get('auxiliary_head'))):
        index = head.get('in_index', -1)
        many = isinstance(index, (list, tuple))
        assert head.in_channels == ([channels[i] for i in index] if many else channels[index])
    variants = {v.label: v.config for cls in BACKBONES for v in cls.variants()}
    assert name.split('_')[1].removesuffix('-d16') == variants[backbone.variant]
    assert backbone.out_strides == ((4, 8, 16, 16) if '-d16' in name else (4, 8, 16, 32))


@needs_mmseg
@pytest.mark.parametrize('name', CONFIGS)
def test_classes_crop_and_root_are_those_of_the_data_set(name):
    cfg = config(name)
    classes, root, crop = {
        'cityscapes': (19, '/some/where/CITYSCAPES/', (512, 1024)),
        'ade20k': (150, '/some/where/ADE20K/', (512, 512)),
        'coco': (2, '/some/where/COCO/', (160, 160)),
    }[re.search('cityscapes|ade20k|coco', name)[0]]
    assert cfg.model.decode_head.num_classes == classes
    assert cfg.model.get('auxiliary_head', dict(num_classes=classes))['num_classes'] == classes
    assert tuple(cfg.model.data_preprocessor.size) == crop
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert dataset.get('data_root', dataset.data_prefix.img_path).startswith(root)


# Without mmseg


@pytest.mark.parametrize(
    'arguments',
    [['segformer_rexnet-100_overfit_coco'], ['CONFIG', '--cfg-options', 'default_scope=mmseg']],
)
def test_without_mmseg_one_line_says_what_to_install(monkeypatch, tmp_path, arguments):
    for name in [name for name in sys.modules if name.split('.')[0] == 'mmseg']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'mmseg', None)  # as if it were not installed
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda package: package != 'mmseg')
    own = tmp_path / 'own.py'
    own.write_text("model = dict(type='EncoderDecoder')\n")
    arguments = [str(own) if argument == 'CONFIG' else argument for argument in arguments]
    with pytest.raises(SystemExit) as ended:
        tool('count_flops')(arguments)
    assert str(ended.value).startswith('error: ')
    assert "pip install 'mmscale[onedl-seg]'" in str(ended.value)
    assert '\n' not in str(ended.value)


# The commands, and mmseg's own


@pytest.fixture(scope='module')
def run(segmentor, tmp_path_factory):
    """The work dir of a run of two steps, a validation included."""
    work_dir = tmp_path_factory.mktemp('run')
    tool('train')([segmentor[0], '--work-dir', str(work_dir)])
    return work_dir


def test_a_segmentor_is_trained_and_validated(run):
    rows = scalars(run)
    assert any(np.isfinite(row['decode.loss_ce']) for row in rows if 'decode.loss_ce' in row)
    assert [row['mIoU'] for row in rows if 'mIoU' in row]
    assert (run / 'iter_2.pth').exists()


def test_a_segmentor_is_tested_and_drawn(run, segmentor, tmp_path, capsys):
    arguments = [segmentor[0], str(run / 'iter_2.pth'), '--work-dir', str(tmp_path)]
    tool('test')([*arguments, '--show-dir', 'drawn', '--out', str(tmp_path / 'out.pkl'), '--tta'])
    assert 'mIoU: ' in log_of(tmp_path)
    assert len(list((tmp_path / 'drawn').rglob('*.png'))) == 6
    assert (tmp_path / 'out.pkl').exists()


def test_a_checkpoint_of_other_classes_is_refused(run, segmentor):
    other = ['--cfg-options', 'model.decode_head.num_classes=5']
    with pytest.raises(SystemExit, match='num_classes=5, but the test set has 9'):
        tool('test')([segmentor[0], str(run / 'iter_2.pth'), *other])


def test_heads_that_read_other_channels_are_named(segmentor):
    wider = ['--cfg-options', 'model.backbone.width_mult=1.3']
    with pytest.raises(SystemExit, match=r'decode_head\.in_channels=\[50, 79, 167, 240\]'):
        tool('train')([segmentor[0], *wider])


def test_pictures_are_segmented(segmentor, pictures, tmp_path):
    small = tmp_path / 'small.png'
    cv2.imwrite(str(small), cv2.imread(pictures[0])[:100, :150])
    given = [*pictures[:2], str(small)]
    command = [segmentor[1], *given, '--config', segmentor[0], '--out', str(tmp_path / 'out')]
    tool('infer')([*command, '--batch-size', '2'])
    found = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert [row['picture'] for row in found] == given
    for row in found:
        labels = cv2.imread(row['map'], cv2.IMREAD_UNCHANGED)
        assert labels.shape == cv2.imread(row['picture']).shape[:2]
        assert sum(row['shares'].values()) == pytest.approx(1)
        assert row['shares'].get('background', 0) == pytest.approx((labels == 0).mean())
        assert (tmp_path / 'out/vis' / Path(row['picture']).name).exists()
    assert len({share for row in found for share in row['shares']}) > 1


def test_multiply_adds_are_counted_by_part(segmentor):
    cfg = load_config(segmentor[0])
    counts = count(cfg, (64, 96))
    # Four 1x1 convolutions to 16 channels, one of 64 channels, and the scores of 9 classes.
    channels = zip(feature_channels('ReXNet', width_mult=1.0), (4, 8, 16, 32))
    convolutions = sum(c * 16 * (64 // s) * (96 // s) for c, s in channels)
    assert counts['parts']['decode_head']['macs'] == convolutions + (64 * 16 + 16 * 9) * 16 * 24
    cfg.model.test_cfg = dict(mode='slide', crop_size=(32, 32), stride=(16, 16))
    assert count(cfg, (64, 96))['macs'] == counts['macs']


def test_mmsegs_own_tool_trains_it(fresh_python, segmentor, tmp_path):
    import mmseg

    # A config of the package, as found on the disk: nothing has imported mmscale before it is read.
    text = Path(segmentor[0]).read_text().replace('mmscale::', f'{ROOT}/configs/')
    config = tmp_path / 'config.py'
    config.write_text(f'{text}\ntrain_cfg = dict(max_iters=1, val_interval=9)\n')
    code = """
import runpy, sys
del sys.argv[0]
assert 'mmscale' not in sys.modules
runpy.run_path(sys.argv[0], run_name='__main__')
"""
    train = Path(mmseg.__file__).parent / '.mim/tools/train.py'
    fresh_python(code, train, config, '--work-dir', tmp_path / 'run')
    assert (tmp_path / 'run/iter_1.pth').exists()
