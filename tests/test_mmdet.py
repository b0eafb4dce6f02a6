"""The backbones in mmdet: its own configs, ours, and its own ways to run them."""

import copy
import os
import re
from functools import cache

import numpy as np
import pytest
import torch
from commands import ROOT
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.hub import get_config
from mmengine.registry import DefaultScope

from mmscale import feature_channels
from mmscale.models import BACKBONES

REXNET = dict(type='mmscale.ReXNet', width_mult=1.0)
LITE = dict(type='mmscale.ReXNetLite', width_mult=1.0)
LIGHT = dict(type='mmscale.ScaleNet', structure='scalenet50_light')
load_once = cache(config_utils.load)

CONFIGS = sorted(
    str(path.relative_to(ROOT / 'configs'))
    for path in (ROOT / 'configs').rglob('*.py')
    if not {'_base_', 'segmentation', 'rotated'} & set(path.parts)  # these have tests of their own
)


@cache
def config(name, coco_root='/some/where/'):
    """One of our configs, as read where COCO_ROOT is set so."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv('COCO_ROOT', coco_root)
        # mmengine reads hundreds of metafiles for every base of another package, a second a config.
        environment.setattr(config_utils, 'load', load_once)
        return Config.fromfile(ROOT / 'configs' / name)


def is_detector(name):
    return re.search(r'(^|/)(faster|mask)[-_]rcnn', name)


DETECTORS = [name for name in CONFIGS if is_detector(name)]
PUBLISHED = [
    name for name in CONFIGS if re.match(r'(faster|mask|rexnet/|scalenet/|san/|class)', name)
]
OTHERS = [name for name in PUBLISHED if re.match(r'(rexnet|scalenet)/(?!faster|mask-)', name)]


def build(model):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(model)


def losses_and_results(detector, data):
    """Let a batch through loss, gradients and prediction."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        batch = detector.data_preprocessor(copy.deepcopy(data), True)
        loss, _ = detector.parse_losses(detector(**batch, mode='loss'))
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is not None for p in detector.backbone.parameters())

        detector.eval()
        with torch.no_grad():
            return detector(**detector.data_preprocessor(data, False), mode='predict')


# mmdet's configs with our backbones


@pytest.mark.parametrize(
    ('path', 'backbone'),
    [
        ('retinanet/retinanet_r50_fpn_1x_coco.py', REXNET),
        ('retinanet/retinanet_r50_fpn_1x_coco.py', LIGHT),
        ('atss/atss_r50_fpn_1x_coco.py', REXNET),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', dict(REXNET, out_indices=(1, 2, 3))),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', dict(LITE, out_indices=(1, 2, 3))),
    ],
    ids=['retinanet-rexnet', 'retinanet-scalenet', 'atss-rexnet', 'rtmdet-rexnet', 'rtmdet-lite'],
)
def test_drop_in(path, backbone):
    model = get_config(f'mmdet::{path}').model
    model.backbone = backbone
    model.neck.in_channels = list(feature_channels(**backbone))
    torch.manual_seed(0)
    detector = build(model)
    data = demo_mm_inputs(2, [[3, 128, 128], [3, 120, 96]], num_classes=80)
    results = losses_and_results(detector.train(), data)
    assert any(p.grad.any() for p in detector.backbone.stem.parameters())
    assert len(results) == 2
    for result in results:
        assert result.pred_instances.bboxes.shape[1] == 4
        assert result.pred_instances.scores.isfinite().all()


# Our configs


def test_there_are_configs():
    assert len(CONFIGS) > 30


@pytest.mark.parametrize('name', CONFIGS)
def test_config_parses(name):
    cfg = config(name)
    # mmdet's own ResNet is there to compare with.
    assert re.match(r'mmscale\.|ResNet$', cfg.model.backbone.type)
    assert 'feature_channels' not in cfg


@pytest.mark.parametrize('name', [name for name in DETECTORS if '_r18' not in name])
def test_detector_builds(name):
    cfg = config(name)
    with torch.device('meta'):
        detector = build(copy.deepcopy(cfg.model))
    assert list(detector.backbone.out_channels) == cfg.model.neck.in_channels
    assert list(feature_channels(**cfg.model.backbone)) == cfg.model.neck.in_channels
    assert detector.backbone.out_strides == (4, 8, 16, 32)
    assert detector.with_mask is name.rpartition('/')[2].startswith('mask')


def test_five_other_detectors_of_two_families():
    kinds = [re.sub(r'.*/([a-z\d-]+)_.*', r'\1', name) for name in OTHERS]
    five = ['cascade-mask-rcnn', 'mask2former', 'retinanet', 'rtmdet-ins', 'ssdlite']
    assert kinds == five * 2


def made_small(cfg):
    """The same model with fewer proposals, queries and points, which is where the time goes."""
    model = copy.deepcopy(cfg.model)
    model.backbone.init_cfg = None
    if 'panoptic_head' in model:
        model.panoptic_head.num_queries = 10
        model.train_cfg.num_points = 64
        model.test_cfg.max_per_image = 5
        model.data_preprocessor.batch_augments = None
    elif 'rpn_head' in model:
        model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 20
        for stage in model.train_cfg.rcnn:
            stage.sampler.num = 16
        model.test_cfg.rcnn.max_per_img = 5
    else:
        model.test_cfg.max_per_img = 5
    return model


@pytest.mark.parametrize('name', OTHERS)
def test_other_detectors_learn_and_predict(name):
    torch.manual_seed(0)
    cfg = config(name)
    detector = build(made_small(cfg))
    detector.backbone.init_weights()
    side = 320 if 'ssdlite' in name else 96  # SSD's last map is of one pixel at 320
    shapes = [[3, side, side]] * 2
    data = demo_mm_inputs(2, shapes, num_items=[2, 2], num_classes=80, with_mask=True)
    found = losses_and_results(detector.train(), data)
    masks = name.rpartition('/')[2].startswith(('cascade', 'mask2former', 'rtmdet'))
    assert ('masks' in found[0].pred_instances) is masks


@pytest.mark.parametrize('name', [name for name in CONFIGS if name.startswith('classification')])
def test_classifier_builds(name):
    from mmpretrain.registry import MODELS

    cfg = config(name)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmpretrain'):
        classifier = MODELS.build(copy.deepcopy(cfg.model))
    assert classifier.backbone.out_channels[-1] == cfg.model.head.in_channels


@pytest.mark.parametrize('name', PUBLISHED)
def test_name_is_what_it_holds(name):
    """The width is written times 100, the depth as it is."""
    stem = name.rpartition('/')[2].removesuffix('.py')
    defaults = {'rexnet': 'rexnet-100', 'scalenet': 'scalenet-50', 'san': 'san-resnet-50'}
    short = re.fullmatch(r'(faster|mask)_rcnn_(rexnet|scalenet|san)_fpn', stem)
    if short:
        variant = defaults[short[2]]
    else:
        schedule = r'(?:fpn_1x|fpn_overfit|\d+xb\d+(?:-lsj)?-\d+e)'
        pattern = rf'(?:[a-z\d-]+_([a-z\d-]+)_{schedule}_coco|([a-z\d-]+)_in1k)'
        match = re.fullmatch(pattern, stem)
        assert match, f'{name} does not follow the convention'
        variant = match[1] or match[2]
    with torch.device('meta'):
        label = build(copy.deepcopy(config(name).model.backbone)).variant
    expected = {v.label: v.config for cls in BACKBONES for v in cls.variants()}[label]
    assert variant == expected
    if '/' in name and (is_detector(name) or name in OTHERS):
        assert name.split('/')[0] == variant.split('-')[0]


@pytest.mark.parametrize('name', [name for name in PUBLISHED if not name.startswith('class')])
def test_data_root(name):
    for root in ('/some/where', '/some/where/'):
        cfg = config(name, root)
        datasets = [cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')]
        datasets = [dataset.get('dataset', dataset) for dataset in datasets]
        files = [os.path.join(dataset.data_root, dataset.ann_file) for dataset in datasets]
        files += [cfg.val_evaluator.ann_file, cfg.test_evaluator.ann_file]
        folder = '/some/where/annotations'
        train, val = f'{folder}/instances_train2017.json', f'{folder}/instances_val2017.json'
        assert files == [train, *[train if 'overfit' in name else val] * 4]


def test_default_data_root():
    cfg = config('faster_rcnn_rexnet_fpn.py', '')  # as if it were not set
    assert cfg.train_dataloader.dataset.data_root == 'data/coco/'
    assert cfg.val_evaluator.ann_file == 'data/coco/annotations/instances_val2017.json'


# mmdet's own ways to run a config, in a process that knows nothing of mmscale

INIT_DETECTOR = """
import sys
from mmdet.apis import inference_detector, init_detector
config, checkpoint, image = sys.argv[1:]
assert 'mmscale' not in sys.modules
options = {'test_dataloader.dataset.pipeline.1.scale': (128, 96)}
model = init_detector(config, checkpoint, device='cpu', cfg_options=options)
result = inference_detector(model, image)
print(type(model.backbone).__module__, result.pred_instances.bboxes.shape[1])
"""
INFERENCER = """
import sys
from mmdet.apis import DetInferencer
from mmengine.config import Config
from mmengine.hub import get_config
config, checkpoint, image, size = sys.argv[1:]
assert 'mmscale' not in sys.modules
if size == 'small':
    config = Config.fromfile(config)
    config.merge_from_dict({'test_dataloader.dataset.pipeline.1.scale': (128, 96)})
inferencer = DetInferencer(config, checkpoint, device='cpu', show_progress=False)
prediction = inferencer(image, no_save_vis=True)['predictions'][0]
assert len(prediction['bboxes']) == len(prediction['scores']) == len(prediction['labels'])
print(type(inferencer.model.backbone).__module__, sorted(prediction))
"""


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Random weights of configs/faster_rcnn_rexnet_fpn.py, as a training run saves them."""
    torch.manual_seed(0)
    detector = build(copy.deepcopy(config('faster_rcnn_rexnet_fpn.py').model))
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    torch.save(dict(state_dict=detector.state_dict(), meta={}), path)
    return path


def random_image(folder):
    from mmcv import imwrite

    path = folder / 'random.png'
    imwrite(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8), str(path))
    return path


@pytest.fixture(params=['random', 'real'])
def picture(request, tmp_path):
    """An image file: random pixels, and one of COCO's where there is COCO."""
    if request.param == 'random':
        return random_image(tmp_path)
    return min((request.getfixturevalue('coco_root') / 'val2017').glob('*.jpg'))


@pytest.fixture
def mmdet_alone(fresh_python):
    """An interpreter in which mmdet can be imported before this package."""
    try:
        fresh_python('import mmcv.ops')
    except AssertionError:
        pytest.skip('mmcv has no operators: `import mmscale` comes first (docs/operators.md)')
    return fresh_python


def test_init_detector(mmdet_alone, checkpoint, tmp_path):
    path = ROOT / 'configs' / 'faster_rcnn_rexnet_fpn.py'
    output = mmdet_alone(INIT_DETECTOR, path, checkpoint, random_image(tmp_path))
    assert output.splitlines()[-1] == 'mmscale.models.backbones.rexnet 4'


def test_inferencer(mmdet_alone, checkpoint, picture):
    path = ROOT / 'configs' / 'faster_rcnn_rexnet_fpn.py'
    output = mmdet_alone(INFERENCER, path, checkpoint, picture, 'small')
    assert output.splitlines()[-1].startswith('mmscale.models.backbones.rexnet')


@pytest.mark.slow
def test_inferencer_at_full_size(mmdet_alone, checkpoint, tmp_path):
    path = ROOT / 'configs' / 'faster_rcnn_rexnet_fpn.py'
    output = mmdet_alone(INFERENCER, path, checkpoint, random_image(tmp_path), 'as it is')
    assert output.splitlines()[-1].startswith('mmscale.models.backbones.rexnet')
