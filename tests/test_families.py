"""feature_channels takes what the backbone takes, and nothing else."""

import pytest

from mmscale import feature_channels


def test_mistyped_argument_is_refused():
    with pytest.raises(ValueError, match="no argument 'width'.*'width_mult'"):
        feature_channels('ReXNet', width=1.3)


def test_arguments_without_influence_and_mmengines_own_keys_are_accepted():
    backbone = dict(type='mmscale.ReXNet', width_mult=1.3, with_cp=True, _scope_='mmdet')
    assert feature_channels(**backbone) == (50, 79, 167, 240)


@pytest.mark.parametrize('name', ['ResNet', 5, None])
def test_unknown_backbone_is_named(name):
    with pytest.raises(ValueError, match=f"backbone {name!r} is unknown.*'ReXNet'"):
        feature_channels(name)


def test_a_bool_is_no_width():
    with pytest.raises(ValueError, match='width_mult=True of ReXNet does not exist'):
        feature_channels('ReXNet', width_mult=True)
