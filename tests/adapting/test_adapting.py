"""Configs with another backbone: what is changed, said and refused."""

import pytest
from commands import ROOT
from mmengine.config import Config
from small_detectors import retinanet

import mmscale
from mmscale import UserError
from mmscale.adapting.adapting import plan
from mmscale.families import published
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
        ('SANResNet', dict(resolutions=224), r'\(224,\)'),
        ('ReXNet', dict(type='ScaleNet'), "type='ScaleNet'"),
        ('ReXNet', dict(in_channels=1), 'in_channels=1'),
        ('ReXNet', dict(output_stride=16), 'anchors'),
    ],
)
def test_wrong_arguments_are_named(name, arguments, words):
    with pytest.raises(UserError, match=words):
        plan(retinanet(), name, arguments)


@pytest.mark.parametrize('config', [None, {}, 'nowhere::x/y', '::x', 'a.b::c'])
def test_what_is_no_config_is_named(config):
    with pytest.raises(UserError, match='config'):
        mmscale.adapt(config, 'ReXNet')


def test_nothing_is_installed_for_a_name(monkeypatch):
    monkeypatch.setattr('mmscale.engine.config.get_config', None)  # it asks pip for what is missing
    with pytest.raises(UserError, match='mmyolo.*not installed'):
        mmscale.adapt('mmyolo::yolov5/yolov5_s', 'ReXNet')


def test_weights_may_be_named_by_a_text():
    cfg = plan(retinanet(), 'ReXNet', dict(init_cfg='my.pth')).cfg
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='my.pth')
    assert cfg.model.backbone.frozen_stages == 1


@pytest.mark.parametrize('channels', [1, 4])
def test_pictures_of_other_channels_stay_as_they_are(channels):
    cfg = retinanet()
    cfg.model.backbone.in_channels = channels
    cfg.model.data_preprocessor.update(mean=[9.0] * channels, std=[2.0] * channels)
    if channels == 4:
        del cfg.model.data_preprocessor.bgr_to_rgb
    adapted = mmscale.adapt(cfg, 'ReXNet')
    assert adapted.model.backbone.in_channels == channels
    assert adapted.model.data_preprocessor == cfg.model.data_preprocessor


@pytest.mark.parametrize('norm_eval', ['auto', True, False])
def test_one_of_ours_keeps_its_norm_eval(norm_eval):
    cfg = mmscale.adapt(retinanet(), 'ReXNet', proof=False)
    cfg.model.backbone.norm_eval = norm_eval
    again = mmscale.adapt(cfg, 'ReXNet', proof=False, width_mult=1.3)
    assert again.model.backbone.norm_eval == ('auto' if norm_eval else False)


def test_a_frozen_stage_of_ones_own_is_not_said_to_be_dropped():
    notes = plan(retinanet(), 'ScaleNet', dict(frozen_stages=2)).notes
    assert 'frozen_stages' not in ' '.join(notes)


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
