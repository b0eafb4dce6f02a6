"""Backbones for images that are not RGB, and what becomes of weights for RGB in them."""

import pytest
import torch
from checkpoint_files import save
from networks import randomise_norms
from variants import LITE, SAN, SAN_MOBILE, build, each_family, images

from mmscale import UserError, feature_channels
from mmscale.engine.counting import backbone_macs


@pytest.mark.parametrize('channels', [1, 2, 4, 6])
@each_family
def test_weights_for_rgb_are_taken(cfg, channels, tmp_path, log):
    rgb = randomise_norms(build(cfg)).eval()
    path = save(rgb.state_dict(), tmp_path / 'rgb.pth')
    model = build(
        {**cfg, 'init_cfg': dict(type='Pretrained', checkpoint=path)}, in_channels=channels
    )
    model.init_weights()
    given = images(1, channels, 64, 64)
    if channels == 1:
        same = given.expand(-1, 3, -1, -1)
    else:  # channel i has the weights of colour i % 3, scaled
        colours = [given[:, colour::3].sum(1) for colour in range(3)]
        same = torch.stack(colours, 1) * 3 / channels
    with torch.no_grad():
        for got, wanted in zip(model.eval()(given), rgb(same)):
            assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    assert any('red, green and blue' in line for line in log)


@each_family
def test_other_images_are_refused(cfg):
    model = build(cfg, in_channels=5)
    assert len(model(images(1, 5, 64, 64))) == 4
    with pytest.raises(UserError, match=r'\(N, 5, H, W\).*in_channels'):
        model(images(1, 3, 64, 64))


def test_weights_of_the_same_channels_stay_as_they_are(tmp_path):
    first = build(LITE, in_channels=2)
    path = save(first.state_dict(), tmp_path / 'two.pth')
    second = build(LITE, in_channels=2, init_cfg=dict(type='Pretrained', checkpoint=path))
    torch.nn.init.zeros_(second.stem.conv.weight)
    second.init_weights()
    assert second.stem.conv.weight.equal(first.stem.conv.weight)


@pytest.mark.parametrize('cfg', [SAN, SAN_MOBILE], ids=['SANResNet', 'SANMobileNetV2'])
def test_a_grey_san_at_one_resolution_is_a_plain_network(cfg):
    model = randomise_norms(build(cfg, in_channels=1)).eval()
    x = images(1, 1, 64, 64)
    for ours, plain in zip(model(x), model.plain(64)(x)):
        torch.testing.assert_close(plain, ours, rtol=1e-4, atol=1e-5)


@each_family
def test_counts_and_channels_take_it(cfg):
    assert feature_channels(**cfg, in_channels=4) == feature_channels(**cfg)
    assert backbone_macs({**cfg, 'in_channels': 4}, (64, 64)) > backbone_macs(cfg, (64, 64))


@pytest.mark.parametrize('value', [0, -1, '3', 1.5, None, True])
def test_what_is_no_number_of_channels_is_refused(value):
    with pytest.raises(UserError, match='in_channels='):
        build(LITE, in_channels=value)
