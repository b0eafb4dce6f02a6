"""Configs with another backbone: what is changed, said and refused."""

import pytest
from commands import ROOT
from mmengine.config import Config
from small_detectors import retinanet

import mmscale
from mmscale import UserError
from mmscale.adapting.adapting import plan
from mmscale.adapting.families import published
from mmscale.models import ReXNet, ReXNetLite, SANResNet, ScaleNet


def test_the_config_that_was_given_stays():
    cfg = retinanet()
    before = cfg.to_dict()
    adapted = mmscale.adapt(cfg, 'mmscale.ReXNet', proof=False, width_mult=1.3)
    assert cfg.to_dict() == before
    assert adapted.model.neck.in_channels == [50, 79, 167, 240]
    assert adapted.model.backbone == dict(
        type='mmscale.ReXNet',
        width_mult=1.3,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval='auto',
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_130.nav_in1k'),
    )


def test_a_config_is_found_by_its_name():
    cfg = mmscale.adapt('mmdet::retinanet/retinanet_r50_fpn_1x_coco', 'ReXNet', proof=False)
    assert cfg.model.neck.in_channels == [38, 61, 128, 185]


@pytest.mark.parametrize(
    ('name', 'arguments', 'words'),
    [
        ('RexNet', {}, "'RexNet'"),
        ('ReXNet', dict(width=1.3), "'width'"),
        ('ReXNet', dict(width_mult=1.4), '1.4'),
        ('ReXNet', dict(out_indices=(0,)), 'out_indices'),
        ('SANResNet', dict(depth=51), '51'),
    ],
)
def test_wrong_arguments_are_named(name, arguments, words):
    with pytest.raises(UserError, match=words):
        plan(retinanet(), name, arguments)


def test_arguments_of_ones_own_win():
    backbone = plan(retinanet(), 'ReXNet', dict(frozen_stages=0, init_cfg=None)).cfg.model.backbone
    assert (backbone.frozen_stages, backbone.init_cfg) == (0, None)


def test_a_san_is_fixed_to_its_largest_resolution():
    backbone = plan(retinanet(), 'SANResNet', dict(resolutions=(192, 224))).cfg.model.backbone
    assert (backbone.depth, backbone.resolution) == (50, 224)


def test_what_is_lost_is_said():
    old = dict(
        retinanet().model.backbone, dcn=dict(type='DCN'), stage_with_dcn=(False, True, True, True)
    )
    found = plan(retinanet(backbone=old), 'ScaleNet', {})
    assert 'dcn' in found.notes[0]
    assert 'frozen_stages=1' in found.notes[0]
    assert 'from scratch' in found.notes[1]


def test_weights_of_the_whole_model_go():
    cfg = retinanet(init_cfg=dict(type='Pretrained', checkpoint='whole.pth'))
    cfg.load_from = 'whole.pth'
    found = plan(cfg, 'ReXNet', {})
    assert (found.cfg.model.init_cfg, found.cfg.load_from) == (None, None)
    assert any('load_from' in note for note in found.notes)


def test_teachers_that_get_other_pictures_are_named():
    found = plan(retinanet(teacher_backbone=dict(type='ResNet', depth=18)), 'SANResNet', {})
    assert any('teacher_backbone' in note for note in found.notes)
    assert found.cfg.model.teacher_backbone == dict(type='ResNet', depth=18)


@pytest.mark.parametrize('variant', list(ReXNet.variants()), ids=lambda variant: variant.config)
def test_hub_weights_are_those_of_the_shipped_configs(variant):
    path = ROOT / f'configs/rexnet/faster-rcnn_{variant.config}_fpn_1x_coco.py'
    if path.exists():
        shipped = Config.fromfile(path).model.backbone.init_cfg.checkpoint
        assert published('ReXNet', variant.arguments) == shipped
    else:
        assert published('ReXNet', variant.arguments) is None


@pytest.mark.parametrize('family', [ReXNetLite, ScaleNet, SANResNet])
def test_the_hub_has_no_weights_of_the_others(family):
    for variant in family.variants():
        assert published(family.__name__, variant.arguments) is None
