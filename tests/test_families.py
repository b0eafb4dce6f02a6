"""The backbones by name: the list is the models', and each is found with and without the scope."""

import pytest
from mmengine.registry import MODELS as ROOT

from mmscale import feature_channels, models
from mmscale.families import BACKBONES, backbone_class, is_backbone
from mmscale.registry import MODELS

# The list


def test_the_list_is_that_of_the_models():
    assert tuple(backbone.__name__ for backbone in models.BACKBONES) == BACKBONES
    assert all(getattr(models, name) is cls for name, cls in zip(BACKBONES, models.BACKBONES))


@pytest.mark.parametrize('name', BACKBONES)
def test_every_backbone_is_registered(name):
    backbone = getattr(models, name)
    assert MODELS.get(name) is ROOT.get(name) is ROOT.get(f'mmscale.{name}') is backbone


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(type='ReXNet'), True),
        (dict(type='mmscale.SANResNet', depth=18), True),
        (dict(type=models.ScaleNet), True),
        (dict(type='mmdet.ResNet'), False),
        (dict(type='RexNet'), False),
        (dict(depth=18), False),
        ({}, False),
    ],
    ids=str,
)
def test_which_backbones_are_this_packages(cfg, expected):
    assert is_backbone(cfg) is expected


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        *[(dict(model=dict(backbone=dict(type=name))), name) for name in BACKBONES],
        (dict(model=dict(backbone=dict(type='mmscale.ReXNet'))), 'ReXNet'),
        (dict(model=dict(backbone=dict(type='mmdet.ResNet'))), 'object'),
        (dict(model=dict(type='YOLOX', backbone=None)), 'object'),
        (dict(model=dict(type='ExportedDetector')), 'object'),
        ({}, 'object'),
    ],
    ids=str,
)
def test_classes_of_configs(cfg, expected):
    assert backbone_class(cfg).__name__ == expected


# feature_channels takes what the backbone takes, and nothing else.


def test_mistyped_argument_is_refused():
    with pytest.raises(ValueError, match="no argument 'width'.*'width_mult'"):
        feature_channels('ReXNet', width=1.3)


def test_arguments_without_influence_and_mmengines_own_keys_are_accepted():
    backbone = dict(type='mmscale.ReXNet', width_mult=1.3, with_cp=True, _scope_='mmdet')
    assert feature_channels(**backbone) == (50, 79, 167, 240)


@pytest.mark.parametrize('name', ['ResNet', 5, None])
def test_unknown_backbone_is_named(name):
    with pytest.raises(ValueError, match=f"{name!r}.*'ReXNet'"):
        feature_channels(name)


def test_a_bool_is_no_width():
    with pytest.raises(ValueError, match='width_mult=True'):
        feature_channels('ReXNet', width_mult=True)
