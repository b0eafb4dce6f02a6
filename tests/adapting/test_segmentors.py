"""Segmentors: dilated backbones, heads that say which map they read, a batch of labelled pixels."""

import pytest
from mmengine.config import Config
from small_detectors import observed, retinanet
from small_segmentors import DILATED, fcn

from mmscale.adapting import plan
from mmscale.adapting.channels import channel_changes
from mmscale.adapting.hosts import Host, find_host
from mmscale.adapting.levels import Levels, choose_levels
from mmscale.adapting.observing import observe
from mmscale.adapting.proving import Trial, prove
from mmscale.adapting.samples import segmentation_batch
from mmscale.errors import UserError

# Dilation: strides of the maps, those without dilation, and what there is instead.
DILATIONS = {
    'of stride 8': ((4, 8, 8, 8), (4, 8, 16, 32), Levels((0, 1, 2, 3), 0, 8)),
    'of stride 16': ((8, 16, 16), (8, 16, 32), Levels((1, 2, 3), 0, 16)),
    'the last map alone': ((16,), (32,), Levels((3,), 0, 16)),
    'none': ((16,), (16,), Levels((2,))),
}


@pytest.mark.parametrize(('strides', 'levels', 'expected'), DILATIONS.values(), ids=DILATIONS)
def test_a_dilated_backbone_is_followed_by_a_dilated_one(strides, levels, expected):
    assert choose_levels({}, observed(strides, levels=levels), 5) == expected


@pytest.mark.parametrize('strides', [(4, 4, 4, 4), (4, 8, 32, 32), (4, 8, 12, 12)])
def test_other_dilations_are_refused(strides):
    with pytest.raises(UserError, match='dilated.*output_stride=8 or 16'):
        choose_levels({}, observed(strides, levels=(4, 8, 16, 32)), 5)


def test_the_strides_without_dilation_are_observed():
    dilated = dict(DILATED, type='mmdet.ResNet', stem_channels=16)
    del dilated['contract_dilation']
    old = observe(dilated, 'mmdet')
    assert (old.strides, old.levels) == ((4, 8, 8, 8), (4, 8, 16, 32))
    plain = {key: value for key, value in dilated.items() if key not in ('strides', 'dilations')}
    assert observe(plain, 'mmdet').levels == (4, 8, 16, 32)


def test_a_detector_on_dilated_maps_gets_dilated_maps():
    cfg = retinanet()
    cfg.model.backbone.update(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))
    backbone = plan(cfg, 'ReXNet', {}).cfg.model.backbone
    assert (backbone.out_indices, backbone.output_stride) == ((0, 1, 2, 3), 16)
    backbone = plan(cfg, 'ReXNet', dict(output_stride=16)).cfg.model.backbone
    assert backbone.output_stride == 16
    with pytest.raises(UserError, match='output_stride=8 makes maps of stride 4, 8, 8, 8'):
        plan(cfg, 'ReXNet', dict(output_stride=8))


# Heads

OLD, NEW = (256, 512, 1024, 2048), (38, 61, 128, 185)
HEADS = {
    'the last': (dict(in_channels=2048), dict(in_channels=185)),
    'one by its index': (dict(in_channels=1024, in_index=2), dict(in_channels=128)),
    'several': (dict(in_channels=[512, 1024], in_index=[1, 2]), dict(in_channels=[61, 128])),
    'all': (dict(in_channels=[*OLD]), dict(in_channels=[*NEW])),
    'the finest too': (
        dict(in_channels=2048, in_index=3, c1_in_channels=256),
        dict(in_channels=185, c1_in_channels=38),
    ),
    'inside another': (
        dict(generate=dict(in_channels=2048), update=[dict(in_channels=512)]),
        dict(generate=dict(in_channels=185)),
    ),
}


@pytest.mark.parametrize(('head', 'changed'), HEADS.values(), ids=HEADS)
@pytest.mark.parametrize('listed', [True, False])
def test_heads_read_the_maps_that_their_indices_name(head, changed, listed):
    cfg = dict(decode_head=[head, head] if listed else head, auxiliary_head=None)
    found = {c.path: c.value for c in channel_changes(Host(('model',), cfg), OLD, NEW, 0)}
    flat = {(key,): value for key, value in changed.items() if not isinstance(value, dict)} or {
        ('generate', 'in_channels'): 185
    }
    starts = [('model', 'decode_head', i) for i in (0, 1)] if listed else [('model', 'decode_head')]
    assert found == {(*start, *path): value for start in starts for path, value in flat.items()}


def test_heads_read_past_a_neck_that_hands_maps_on():
    neck = dict(type='JPU', in_channels=(512, 1024, 2048), mid_channels=512)
    heads = dict(
        decode_head=dict(in_channels=[512, 1024, 2048], in_index=(0, 1, 2)),
        auxiliary_head=[
            dict(in_channels=1024, in_index=1),
            dict(in_channels=2048, in_index=2),
        ],
    )
    host = Host(('model',), dict(neck=neck, **heads))
    found = {c.path[1:]: c.value for c in channel_changes(host, OLD[1:], NEW[1:], 0)}
    assert found == {
        ('neck', 'in_channels'): (61, 128, 185),
        ('decode_head', 'in_channels'): [61, 128, 2048],
        ('auxiliary_head', 0, 'in_channels'): 128,
    }


def test_heads_that_read_nothing_of_it_are_refused():
    cfg = dict(decode_head=dict(in_channels=512, in_index=3))
    with pytest.raises(UserError, match='nothing in the model says'):
        list(channel_changes(Host(('model',), cfg), OLD, NEW, 0))


@pytest.mark.parametrize('kind', ['BiSeNetV1', 'FastSCNN', 'ICNet', 'UNet'])
def test_networks_of_their_own_are_refused(kind):
    with pytest.raises(UserError, match=f'{kind} is part of the method'):
        find_host(Config(dict(model=dict(type='EncoderDecoder', backbone=dict(type=kind)))))


# With mmseg


@pytest.fixture
def _mmseg():
    pytest.importorskip('mmseg')


@pytest.mark.usefixtures('_mmseg')
def test_a_segmentor_is_adapted():
    found = plan(fcn(), 'ReXNet', {})
    model = found.cfg.model
    assert (model.backbone.out_indices, model.backbone.output_stride) == ((0, 1, 2, 3), 8)
    assert (model.backbone.norm_cfg.type, model.backbone.norm_eval) == ('SyncBN', False)
    assert (model.decode_head.in_channels, model.auxiliary_head.in_channels) == (185, 128)
    assert model.pretrained is None
    assert model.data_preprocessor == fcn().model.data_preprocessor


@pytest.mark.usefixtures('_mmseg')
@pytest.mark.parametrize('name', ['ReXNet', 'ScaleNet', 'SANMobileNetV2'])
def test_an_adapted_segmentor_is_proven(name):
    assert prove(plan(fcn(), name, {}).cfg, fcn()) is None


@pytest.mark.usefixtures('_mmseg')
def test_gradients_reach_the_backbone_and_every_pixel_gets_a_class():
    trial = Trial(plan(fcn(), 'ReXNet', dict(init_cfg=None)).cfg)
    losses = trial.loss(backward=True)
    assert {'decode.loss_ce', 'aux.loss_ce'} <= set(losses)
    assert all(p.grad is not None for p in trial.model.backbone.parameters())
    for sample in trial.predict():
        assert sample.pred_sem_seg.data.shape == (1, 128, 128)
        assert sample.pred_sem_seg.data.max() < 3


@pytest.mark.usefixtures('_mmseg')
def test_a_head_that_was_overlooked_is_found():
    cfg = plan(fcn(), 'ReXNet', {}).cfg
    cfg.model.auxiliary_head.in_channels = 64
    with pytest.raises(UserError, match='though the original does'):
        prove(cfg, fcn())


@pytest.mark.usefixtures('_mmseg')
def test_made_up_pixels_have_all_classes_and_no_other():
    batch = segmentation_batch(0, (32, 48), 5)
    for picture, sample in zip(batch['inputs'], batch['data_samples']):
        assert picture.shape == (3, 32, 48)
        assert sample.gt_sem_seg.data.unique().tolist() == [0, 1, 2, 3, 4]


# Of mmseg, every way to read a backbone
CONFIGS = (
    'deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024',
    'knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512',
    'mask2former/mask2former_r50_8xb2-160k_ade20k-512x512',
    'point_rend/pointrend_r50_4xb4-160k_ade20k-512x512',
    'sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512',
    'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
)


@pytest.mark.slow
@pytest.mark.usefixtures('_mmseg')
@pytest.mark.parametrize('name', CONFIGS)
def test_segmentors_of_mmseg_are_proven(name):
    from mmscale.adapting import adapt

    assert adapt(f'mmseg::{name}', 'ReXNet').model.backbone.type == 'mmscale.ReXNet'
