"""The proof: a small batch through the loss and the prediction of an adapted model."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from small_detectors import retinanet
from trying import configs

from mmscale.adapting import adapt, plan
from mmscale.adapting.proving import Trial, attempt, bare, fault, prove
from mmscale.adapting.samples import detection_batch
from mmscale.errors import UserError


@pytest.mark.parametrize('name', ['ReXNet', 'ReXNetLite', 'ScaleNet', 'SANMobileNetV2'])
def test_an_adapted_model_is_proven(name):
    cfg = retinanet()
    assert prove(plan(cfg, name, {}).cfg, cfg) is None


def test_gradients_reach_the_backbone():
    trial = Trial(plan(retinanet(), 'ReXNet', dict(init_cfg=None)).cfg)
    assert trial.loss(backward=True)['loss'] > 0
    assert all(p.grad is not None for p in trial.model.backbone.parameters())
    found = trial.predict()
    assert [len(sample.pred_instances) for sample in found] == [5, 5]


def test_a_place_that_was_overlooked_is_found():
    cfg = plan(retinanet(), 'ReXNet', {}).cfg
    cfg.model.neck.in_channels = [16, 32, 64, 128]
    with pytest.raises(UserError, match='though the original does'):
        prove(cfg, retinanet())


def test_faults_of_the_original_are_named():
    misspelt = retinanet()
    misspelt.model.bakbone = dict(depth=18)
    adapted = plan(misspelt, 'ReXNet', {}).cfg
    with pytest.raises(UserError, match=r"no argument 'bakbone'; did you mean 'backbone'"):
        prove(adapted, misspelt)
    unknown = retinanet()
    unknown.model.backbone.type = 'mmscale.ReXnet'
    with pytest.raises(UserError, match=r"no type 'mmscale.ReXnet'; did you mean 'mmscale.ReXNet'"):
        plan(unknown, 'ScaleNet', {})


def test_nothing_is_said_where_the_original_does_not_work_either():
    broken = retinanet()
    broken.model.bbox_head.in_channels = 32
    said = prove(plan(broken, 'ReXNet', {}).cfg, broken)
    assert 'not proven' in said
    assert 'original' in said


def test_a_loss_that_is_not_finite_is_a_fault():
    cfg = retinanet()
    cfg.model.bbox_head.loss_cls = dict(
        type='FocalLoss', use_sigmoid=True, loss_weight=float('inf')
    )
    assert 'not finite' in fault(cfg)


def test_a_proof_draws_no_random_numbers():
    def draw():
        return torch.rand(1).item(), np.random.rand()

    torch.manual_seed(3)
    np.random.seed(3)
    expected = draw()
    torch.manual_seed(3)
    np.random.seed(3)
    assert fault(retinanet()) is None
    assert draw() == expected


def test_a_proof_is_quiet_and_the_log_goes_on_after_it(log):
    print_log('before', 'current')
    assert fault(retinanet()) is None
    print_log('after', 'current')
    assert log == ['before', 'after']


def test_nothing_is_fetched():
    cfg = retinanet(init_cfg=[dict(type='Pretrained', checkpoint='nowhere://x')])
    model = bare(cfg).model
    assert (model.init_cfg, model.backbone.init_cfg) == (None, None)
    assert cfg.model.backbone.init_cfg.checkpoint == 'torchvision://resnet18'


def test_made_up_objects_lie_in_their_pictures():
    batch = detection_batch(0, [(96, 128), (64, 32)], 1, masks=True, semantic=True)
    for picture, sample in zip(batch['inputs'], batch['data_samples']):
        height, width = picture.shape[1:]
        boxes = sample.gt_instances.bboxes
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= boxes.new_tensor([width, height])).all()
        assert (boxes[:, 2:] - boxes[:, :2] > 0.19 * min(height, width)).all()
        assert sample.gt_instances.labels.tolist() == [0] * len(boxes)
        assert sample.gt_instances.masks.masks.reshape(len(boxes), -1).any(1).all()
        assert sample.gt_sem_seg.sem_seg.shape == (1, height, width)


@pytest.mark.parametrize('proposals', [True, False])
def test_only_those_that_need_them_get_proposals(proposals):
    options = dict(masks=False, semantic=False, proposals=proposals)
    [sample] = detection_batch(0, [(64, 64)], 1, **options)['data_samples']
    assert ('proposals' in sample) is proposals


# A dozen of mmdet's, of every way to read a backbone
DETECTORS = (
    'atss', 'cascade_rcnn', 'condinst', 'deformable_detr', 'fcos', 'mask_rcnn', 'retinanet',
    'rtmdet', 'soft_teacher', 'solo', 'yolo', 'yolox',
)  # fmt: skip
# Those that refuse, or whose original does not run on a made-up batch.
REFUSED = (
    'centripetalnet', 'cornernet', 'detectors', 'glip', 'grounding_dino', 'misc',
    'mm_grounding_dino', 'tridentnet',
)  # fmt: skip
FOLDERS = dict(configs())


@pytest.mark.parametrize('folder', DETECTORS)
def test_detectors_of_mmdet_are_proven(folder):
    cfg = Config.fromfile(FOLDERS[folder])
    adapted = adapt(cfg, 'ReXNet')
    assert adapted.model.get('detector', adapted.model).backbone.type == 'mmscale.ReXNet'


@pytest.mark.parametrize('folder', REFUSED)
def test_what_cannot_be_adapted_says_why_in_a_line(folder):
    with pytest.raises(UserError) as error:
        plan(Config.fromfile(FOLDERS[folder]), 'ReXNet', {})
    assert '\n' not in str(error.value)
    assert 'take a ' in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize('folder', sorted(set(FOLDERS) - set(REFUSED)))
def test_a_detector_of_every_folder_is_proven(folder):
    try:
        cfg = Config.fromfile(FOLDERS[folder])
    except FileNotFoundError as error:
        pytest.skip(f'mmdet does not ship what it inherits from: {error}')
    model = cfg.get('model') or {}
    backbone = model.get('backbone') or model.get('detector', {}).get('backbone')
    if not backbone:
        pytest.skip('it is a piece of a config, without a backbone')
    if 'TIMM' in str(backbone.get('type')):
        pytest.importorskip('timm')
    done, error = attempt(plan(cfg, 'ReXNet', dict(init_cfg=None)).cfg)
    if error:
        former = fault(cfg)
        assert former, f'after {done}: {error}'
        pytest.skip(f'the original does not run either: {former}; adapted: {error}')
