"""Parameters and multiply-adds: the zoo's, and small models counted by hand."""

import json
import runpy

import pytest
import torch
from commands import ROOT, tool
from mmcv.ops import DeformConv2dPack
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS
from torch import nn

from mmscale.engine.config import load_config
from mmscale.engine.counting import count
from mmscale.errors import UserError

slow = pytest.mark.slow

ZOO = runpy.run_path(str(ROOT / '.ci/zoo.py'))
COUNTED = ZOO['counts']()
# Small enough for every run of the tests, and of each family and task one.
FAST = ('san-resnet-18', 'san-mobilenet-v2', 'faster-rcnn_rexnet-090', 'segformer_rexnet-100_4xb4')

# Parameters, those of the backbone, its multiply-adds at 800 x 1200 and the whole detector's. No
# whole figure is known for Mask R-CNN: Faster R-CNN's and 100 masks.
TWO_STAGE = [
    pytest.param('faster-rcnn_r50', 41.75, 23.51, 78.4, 194.5, marks=slow),
    ('faster-rcnn_rexnet-090', 20.10, 2.74, 6.4, 116.1),
    pytest.param('faster-rcnn_rexnet-100', 20.64, 3.28, 7.4, 117.1, marks=slow),
    pytest.param('faster-rcnn_rexnet-220', 33.01, 15.52, 34.1, 145.1, marks=slow),
    pytest.param('mask-rcnn_r50', 44.40, 23.51, 78.4, 194.5, marks=slow),
    pytest.param('mask-rcnn_rexnet-090', 22.74, 2.74, 6.4, 116.1, marks=slow),
    ('mask-rcnn_rexnet-100', 23.29, 3.28, 7.4, 117.1),
    pytest.param('mask-rcnn_rexnet-220', 35.66, 15.52, 34.1, 145.1, marks=slow),
]
# One proposal through the box head: 256 x 7 x 7 values, two hidden layers, 81 scores, 80 boxes.
PROPOSAL = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (81 + 4 * 80)
# One mask: four 3 x 3 convs at 14 x 14, a 2 x 2 stride-2 transposed one, 80 masks of 28 x 28.
MASK = 14 * 14 * 256 * 256 * (4 * 9 + 4) + 28 * 28 * 256 * 80


# The zoo


def is_fast(name):
    plain = name.endswith('_in1k') and 'san' not in name and 'r50' not in name
    return plain or name.startswith(FAST)


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=() if is_fast(name) else slow) for name in COUNTED]
)
def test_counts_of_the_zoo(name):
    if ZOO['purpose'](name)[1] == ['Semantic Segmentation']:
        pytest.importorskip('mmseg')
    assert ZOO['counted'](name) == COUNTED[name]


def test_the_zoo_counts_every_config_that_it_should():
    assert list(COUNTED) == list(ZOO['names']()), 'python .ci/zoo.py --count'


def detector(name):
    """A detector's config: mmdet's own for R50."""
    name = f'{name}_fpn_1x_coco'
    if 'r50' not in name:
        return load_config(name)
    folder = name.partition('_')[0].replace('-', '_')
    return get_config(f'mmdet::{folder}/{name}.py')


def check_parts(counts, masks):
    """What the parts of a two-stage detector are, by hand, and that they are all there is."""
    parts = counts['parts']
    assert counts['shape'] == [800, 1200]
    assert parts['roi_head']['macs'] == 1000 * PROPOSAL + masks
    assert list(parts) == ['backbone', 'neck', 'rpn_head', 'roi_head']
    for key in ('params', 'macs'):
        assert sum(part[key] for part in parts.values()) == counts[key]


@pytest.mark.parametrize(('name', 'params', 'backbone_params', 'backbone_macs', 'macs'), TWO_STAGE)
def test_two_stage_detectors_have_the_known_size(
    name, params, backbone_params, backbone_macs, macs
):
    counts = count(detector(name))
    masks, backbone = 100 * MASK if name.startswith('mask') else 0, counts['parts']['backbone']
    check_parts(counts, masks)
    assert counts['params'] / 1e6 == pytest.approx(params, rel=0.002)
    assert backbone['params'] / 1e6 == pytest.approx(backbone_params, rel=0.002)
    assert backbone['macs'] / 1e9 == pytest.approx(backbone_macs, rel=0.01)
    assert (counts['macs'] - masks) / 1e9 == pytest.approx(macs, rel=0.001)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'model.backbone.type': 'RexNet'}, "no type 'RexNet'; did you mean 'ReXNet'?"),
        ({'model.backbone.width_mlt': 1.3}, "no argument 'width_mlt'; did you mean 'width_mult'?"),
        ({'model.neck.in_channels': [1, 2, 3, 4]}, r'but the backbone has \[38, 61, 128, 185\]'),
        (
            {'model.backbone.norm_cfg': dict(type='GN', num_groups=32)},
            r'num_groups that fits: \[1\]',
        ),
    ],
)
def test_a_model_that_cannot_be_built_or_run_names_the_cause(change, message):
    with pytest.raises(UserError, match=message):
        count(load_config('faster-rcnn_rexnet-100_fpn_1x_coco', change), (64, 64))


# Others


def test_cascades_have_their_masks_in_every_stage():
    parts = count(load_config('cascade-mask-rcnn_rexnet-100_fpn_1x_coco'), (128, 128))['parts']
    without_classes = PROPOSAL - 1024 * 79 * 4  # a box for all classes
    assert parts['roi_head']['macs'] == 3 * (1000 * without_classes + 100 * MASK)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'retinanet/retinanet_r50_fpn_1x_coco',
        'atss/atss_r50_fpn_1x_coco',
        'rtmdet/rtmdet_tiny_8xb32-300e_coco',
    ],
)
def test_single_stage_detectors(name):
    counts = count(get_config(f'mmdet::{name}.py'), (320, 320))
    assert list(counts['parts']) == ['backbone', 'neck', 'bbox_head']
    assert min(part['macs'] for part in counts['parts'].values()) > 0


@MODELS.register_module()
class TinyBackbone(nn.Module):
    """One layer, between others that are not to be counted."""

    def __init__(self, layer):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.layer = LAYERS[layer]()
        self.resize = nn.Upsample(scale_factor=2)

    def forward(self, x):
        return (self.resize(self.layer(self.norm(x))),)


class Attention(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


LAYERS = {
    'conv': lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1),
    'attention': Attention,
    'deformable': lambda: DeformConv2dPack(3, 4, 3, padding=1),
}
# Parameters and multiply-adds on 32 x 48 pixels. The deformable conv's are those of the ordinary
# one that finds its 2 x 9 offsets.
BY_HAND = {
    'conv': (4 * (3 * 9 + 1), 16 * 24 * 4 * 3 * 9, []),
    'attention': (0, 3 * 2 * 32 * 32 * 48, []),
    'deformable': (
        4 * 3 * 9 + 18 * (3 * 9 + 1),
        32 * 48 * 18 * 3 * 9,
        ['DeformConv2dPack'],
    ),
}


def tiny(layer):
    channels = 3 if layer == 'attention' else 4
    return Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='TinyBackbone', layer=layer),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=10, in_channels=channels),
            ),
        )
    )


@pytest.mark.parametrize('layer', LAYERS)
def test_tiny_models_by_hand(layer):
    params, macs, not_counted = BY_HAND[layer]
    linear = 10 * (3 if layer == 'attention' else 4)
    counts = count(tiny(layer), (32, 48))
    assert counts == {
        'params': params + 6 + linear + 10,
        'macs': macs + linear,
        'parts': {
            'backbone': {'params': params + 6, 'macs': macs},
            'neck': {'params': 0, 'macs': 0},
            'head': {'params': linear + 10, 'macs': linear},
        },
        'shape': [32, 48],
        'not_counted': not_counted,
    }


def test_config_and_random_numbers_stay_as_they_were():
    config = load_config('shapes/faster-rcnn_rexnet-100_fpn_shapes')
    before, state = config.to_dict(), torch.get_rng_state()
    count(config, (64, 64))
    assert config.to_dict() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_json_is_all_that_is_printed(capfd):
    tool('count_flops')(['rexnet-100_in1k', '--shape', '64', '--json'])
    counts = json.loads(capfd.readouterr().out)
    assert counts['shape'] == [64, 64]
    assert list(counts['parts']) == ['backbone', 'neck', 'head']


def test_table_names_parts_and_what_is_missing(capsys, tmp_path):
    tiny('deformable').dump(tmp_path / 'tiny.py')
    tool('count_flops')([str(tmp_path / 'tiny.py'), '--shape', '32', '48'])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ('32 x 48', 'backbone', 'neck', 'head', 'whole'))
    assert 'DeformConv2dPack' in printed


def test_options_change_the_model(capsys):
    changes = ['model.backbone.out_indices=(3,)', 'model.head.in_channels=185']
    tool('count_flops')(['rexnet-100_in1k', '--shape', '32', '--json', '--cfg-options', *changes])
    assert json.loads(capsys.readouterr().out)['params'] < 4.797e6 - 1280 * 185


@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        (['rexnet-10_in1k'], ['rexnet-10_in1k', 'rexnet-100_in1k']),
        (['rexnet-100_in1k', '--shape', '31'], ['shape 31', '32 pixels']),
        (['rexnet-100_in1k', '--shape', '224', '-1'], ['shape 224 -1', '32 pixels']),
        (['rexnet-100_in1k', '--shape', '64', '64', '64'], ['shape 64 64 64']),
    ],
)
def test_wrong_commands_end_with_one_line(argv, words):
    with pytest.raises(SystemExit) as error:
        tool('count_flops')(argv)
    message = str(error.value)
    assert message.startswith('error: ')
    assert '\n' not in message
    assert all(word in message for word in words), message


def test_shape_that_a_model_cannot_take():
    config = get_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    with pytest.raises(UserError, match='RTMDet .*32 x 40'):
        count(config, (32, 40))


def test_config_without_a_model():
    with pytest.raises(UserError, match='no model'):
        count(Config(dict(default_scope='mmdet')))
