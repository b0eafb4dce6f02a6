"""The rules: which maps, who reads them, which pictures, what goes on, what the optimiser named."""

import pytest
from mmengine.config import Config
from small_detectors import observed, retinanet

from mmscale.adapting.adapting import plan
from mmscale.adapting.carrying import carried, dropped
from mmscale.adapting.channels import translate
from mmscale.adapting.hosts import METHODS, find_host
from mmscale.adapting.levels import Levels, choose_levels
from mmscale.adapting.optimiser import optimiser_changes
from mmscale.errors import UserError

# Hosts


def test_a_wrapper_has_its_backbone_inside():
    inner = retinanet().model
    assert find_host(retinanet()).path == ('model',)
    wrapped = Config(dict(model=dict(type='SoftTeacher', detector=inner)))
    assert find_host(wrapped).path == ('model', 'detector')


@pytest.mark.parametrize(
    ('model', 'words'),
    [
        (None, 'no model'),
        (dict(type='X'), 'X has no backbone'),
        (dict(type='D', detector=dict(backbone=dict(name='r50'))), 'another framework'),
        *[(dict(type='D', backbone=dict(type=kind)), kind) for kind in METHODS],
        (dict(type='GLIP', backbone=dict(type='Swin'), language_model=dict(type='B')), 'language'),
        (
            dict(type='D', backbone=dict(type='ResNet'), neck=dict(type='RFP', rfp_backbone={})),
            'rfp_backbone',
        ),
    ],
)
def test_what_needs_its_backbone_is_refused(model, words):
    with pytest.raises(UserError, match=words) as error:
        find_host(Config(dict(model=model) if model else {}))
    assert '\n' not in str(error.value)


# Levels

LEVELS = {
    'all': ((4, 8, 16, 32), Levels((0, 1, 2, 3))),
    'from 8': ((8, 16, 32), Levels((1, 2, 3))),
    'C4': ((16,), Levels((2,))),
    'the last': ((32,), Levels((3,))),
    'P6': ((8, 16, 32, 64), Levels((1, 2, 3), 1)),
    'P7': ((32, 64, 128), Levels((3,), 2)),
}


@pytest.mark.parametrize(('strides', 'levels'), LEVELS.values(), ids=LEVELS)
def test_maps_keep_their_strides(strides, levels):
    assert choose_levels({}, observed(strides), 5) == levels


@pytest.mark.parametrize('strides', [(2, 4), (16, 16), (32, 16), (16, 64), (32, 128), (4, 12)])
def test_strides_that_there_are_not_are_refused(strides):
    with pytest.raises(UserError, match=str(strides[-1])):
        choose_levels({}, observed(strides), 5)


@pytest.mark.parametrize(('known', 'index'), [(5, 4), (4, 3)])
def test_a_pooled_head_reads_the_last_map_that_there_is(known, index):
    host = dict(neck=dict(type='GlobalAveragePooling'))
    assert choose_levels(host, observed((32,)), known) == Levels((index,))


# Channels

CHANNELS = {
    'all': ([1, 2, 3], [10, 20, 30]),
    'tuple': ((1, 2, 3), [10, 20, 30]),
    'backwards': ([3, 2, 1], [30, 20, 10]),
    'some': ([2, 3], [20, 30]),
    'one': (3, 30),
    'none of them': (4, None),
    'not all of them': ([1, 4], None),
    'no number': ('x', None),
    'nothing': (None, None),
    'a switch': (True, None),
}


@pytest.mark.parametrize(('given', 'new'), CHANNELS.values(), ids=CHANNELS)
def test_channels_are_translated(given, new):
    assert translate(given, (1, 2, 3), (10, 20, 30)) == new


def test_equal_channels_are_told_apart_by_their_order_alone():
    assert translate([5, 5, 7], (5, 5, 7), (1, 2, 3)) == [1, 2, 3]
    assert translate([5, 7], (5, 5, 7), (1, 2, 3)) is None
    assert translate(5, (5, 5, 7), (1, 2, 3)) == 2


def adapted(cfg, name='ReXNet', **arguments):
    return plan(cfg, name, arguments).cfg


def test_a_list_of_necks_is_read_by_the_first():
    neck = retinanet().model.neck
    bfp = dict(type='BFP', in_channels=16, num_levels=5)
    cfg = adapted(retinanet(neck=[neck, bfp]))
    assert cfg.model.neck[0].in_channels == [38, 61, 128, 185]
    assert cfg.model.neck[1] == bfp


def test_heads_read_where_there_is_no_neck():
    c4 = dict(type='ResNet', depth=50, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
              out_indices=(2,))  # fmt: skip
    roi_head = dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(type='SingleRoIExtractor', out_channels=1024),
        bbox_head=[dict(type='BBoxHead', in_channels=1024, fc_out_channels=1024)],
    )
    rpn_head = dict(type='RPNHead', in_channels=1024, feat_channels=1024)
    host = dict(neck=None, backbone=c4, rpn_head=rpn_head, roi_head=roi_head)
    model = adapted(retinanet(**host)).model
    assert (model.rpn_head.in_channels, model.rpn_head.feat_channels) == (128, 1024)
    assert model.roi_head.bbox_roi_extractor.out_channels == 128
    assert model.roi_head.bbox_head[0] == dict(
        type='BBoxHead', in_channels=128, fc_out_channels=1024
    )
    roi_head['shared_head'] = dict(type='ResLayer', depth=50)
    model = adapted(retinanet(**host)).model
    assert model.rpn_head.in_channels == 1024
    assert (model.neck.in_channels, model.neck.out_channels) == ([128], 1024)


def test_maps_that_there_are_not_are_made_in_front_of_the_neck():
    backbone = dict(type='CSPNeXt', arch='P6', deepen_factor=0.33, widen_factor=0.5,
                    out_indices=(2, 3, 4, 5))  # fmt: skip
    neck = dict(type='CSPNeXtPAFPN', in_channels=[128, 256, 384, 512], out_channels=16)
    model = adapted(retinanet(backbone=backbone, neck=neck)).model
    assert model.backbone.out_indices == (1, 2, 3)
    mapper, after = model.neck
    assert (mapper.in_channels, mapper.out_channels, mapper.num_outs) == ([61, 128, 185], 128, 4)
    assert after.in_channels == [128] * 4


@pytest.mark.parametrize(
    'changes',
    [
        dict(neck=dict(type='FPN', in_channels=[1, 2, 3, 4])),
        dict(neck=None, bbox_head=dict(type='RetinaHead', in_channels=17)),
    ],
)
def test_a_model_that_reads_nothing_of_it_is_refused(changes):
    with pytest.raises(UserError, match='in_channels'):
        adapted(retinanet(**changes))


# Pictures


@pytest.mark.parametrize(('name', 'mean'), [('ReXNet', 123.675), ('SANResNet', 0.0)])
def test_pictures_are_those_of_the_weights(name, mean):
    given = adapted(retinanet(), name).model.data_preprocessor
    assert (given.bgr_to_rgb, given.mean[0], given.pad_size_divisor) == (True, mean, 32)


def test_pictures_that_were_not_normalised_are():
    cfg = retinanet(data_preprocessor=dict(type='DetDataPreprocessor', rgb_to_bgr=True))
    given = adapted(cfg).model.data_preprocessor
    assert given.std == [58.395, 57.12, 57.375]
    assert (given.bgr_to_rgb, given.rgb_to_bgr) == (True, False)


def test_every_preprocessor_of_a_wrapper_is_changed():
    inner = retinanet().model
    outer = dict(type='MultiBranchDataPreprocessor', data_preprocessor=inner.data_preprocessor)
    model = dict(type='SoftTeacher', detector=inner, data_preprocessor=outer)
    model = adapted(Config(dict(default_scope='mmdet', model=model))).model
    assert model.data_preprocessor.data_preprocessor.bgr_to_rgb is True
    assert model.detector.data_preprocessor.bgr_to_rgb is True
    assert 'mean' not in model.data_preprocessor


def test_a_classifier_has_its_preprocessor_beside_it_and_another_word():
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=50, out_indices=(3,)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=2048),
    )
    preprocessor = dict(num_classes=10, mean=[0, 0, 0], std=[1, 1, 1], to_rgb=False)
    cfg = dict(default_scope='mmpretrain', model=model, data_preprocessor=preprocessor)
    cfg = adapted(Config(cfg))
    assert cfg.data_preprocessor.to_rgb is True
    assert 'bgr_to_rgb' not in cfg.data_preprocessor
    assert (cfg.model.backbone.out_indices, cfg.model.head.in_channels) == ((4,), 1280)
    assert 'data_preprocessor' not in cfg.model


# What goes on


def settings(former, old, weights):
    return {key: value for key, value, _ in carried(former, old, weights)}


def test_settings_that_mean_the_same_go_on():
    old = observed(frozen_stages=2, norm_eval=True, with_cp=True)
    assert settings({}, old, 'weights') == dict(frozen_stages=2, norm_eval='auto', with_cp=True)
    old = observed(kinds=('Darknet',), frozen_stages=2, norm_eval=False)
    assert settings({}, old, 'weights') == dict(norm_eval=False)
    assert dropped({}, old, 'weights') == ['frozen_stages=2 (its stages are counted otherwise)']


def test_random_layers_are_not_frozen():
    old = observed(frozen_stages=2)
    frozen = dict(norm_cfg=dict(type='BN', requires_grad=False))
    assert settings(frozen, old, None) == dict(norm_eval='auto')
    assert 'frozen_stages=2' in dropped(frozen, old, None)[0]
    assert settings(frozen, old, 'weights')['norm_cfg'] == frozen['norm_cfg']


@pytest.mark.parametrize(
    ('norm', 'kept'),
    [(dict(type='SyncBN', requires_grad=True), dict(type='SyncBN')), (dict(type='GN'), None)],
)
def test_batch_norms_go_on_and_others_do_not(norm, kept):
    former = dict(norm_cfg=norm)
    assert settings(former, observed(), 'weights').get('norm_cfg') == kept
    assert any('norm_cfg' in text for text in dropped(former, observed(), 'x')) is (kept is None)


@pytest.mark.parametrize('key', ['dcn', 'plugins', 'conv_cfg', 'sac', 'drop_path_rate'])
def test_parts_of_the_old_backbone_are_named_as_dropped(key):
    assert dropped({key: dict(type='X')}, observed(), None)[0].startswith(f'{key} (')


# The optimiser


def optimised(
    custom_keys, old=('backbone.blocks.0.norm.w', 'backbone.table'), new=('backbone.x',), **rest
):
    cfg = Config(dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=custom_keys), **rest)))
    return {c.path[-1]: c.value for c in optimiser_changes(cfg, old, lambda: new)}


def test_keys_that_name_the_old_backbones_parts_go():
    keys = {'backbone': {}, 'backbone.blocks.0.norm': {}, 'table': {}, 'query': {}}
    left = optimised(keys)['paramwise_cfg']['custom_keys']
    assert list(left) == ['backbone', 'query']


def test_keys_that_name_something_of_the_new_model_stay():
    assert optimised({'norm': {}}, new=('neck.norm.w',)) == {}


def test_the_model_is_not_built_without_need():
    cfg = Config(dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=dict(backbone={})))))
    found = list(optimiser_changes(cfg, ('backbone.x',), lambda: pytest.fail('built')))
    assert found == []


def test_rates_by_layer_go():
    cfg = dict(
        constructor='LearningRateDecayOptimizerConstructor',
        paramwise_cfg=dict(
            decay_rate=0.7, decay_type='layer_wise', num_layers=6, norm_decay_mult=0
        ),
    )
    found = optimiser_changes(Config(dict(optim_wrapper=cfg)), (), lambda: ())
    assert {c.path[-1]: c.value for c in found} == dict(
        constructor='DefaultOptimWrapperConstructor', paramwise_cfg=dict(norm_decay_mult=0)
    )
