"""The hooks give what the plain model gives."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.ops import RoIAlign
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmscale.engine.hooks import ChannelsLastHook, EpochSeedHook
from mmscale.models.backbones.san import GeneratedConv2d, Scale


class OwnAlign(RoIAlign):
    """Somebody's subclass."""


class PooledConv(nn.Module):
    """A convolution whose output mmcv's RoIAlign reads."""

    def __init__(self, kind):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = kind(7, 0.5, 2)

    def forward(self, x, boxes):
        if isinstance(self.pool, OwnAlign):
            return self.pool(input=self.conv(x), rois=boxes)
        return self.pool(self.conv(x), boxes)


@pytest.mark.parametrize('kind', [RoIAlign, OwnAlign])
def test_channels_last_gives_mmcv_operators_what_they_can_read(kind):
    torch.manual_seed(0)
    model, x = PooledConv(kind), torch.randn(2, 3, 24, 32)
    boxes = torch.tensor([[0.0, 2, 3, 40, 30], [1.0, 10, 8, 60, 44]])
    expected = model(x, boxes)
    expected.square().sum().backward()
    gradient = model.conv.weight.grad.clone()
    model.zero_grad()

    ChannelsLastHook().before_train(SimpleNamespace(model=model))

    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.conv(x).is_contiguous(memory_format=torch.channels_last)
    output = model(x, boxes)
    output.square().sum().backward()
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(model.conv.weight.grad, gradient)


@pytest.mark.parametrize(
    ('channels', 'stride', 'kept'), [(8, 2, True), (16, 2, False), (8, 1, False)]
)
def test_channels_last_spares_convolutions_that_onednn_overruns(channels, stride, kept):
    torch.manual_seed(0)
    x = torch.randn(2, channels, 56, 56)
    layer = nn.Conv2d(channels, 16, 1, stride, bias=False)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), layer.weight)
    ChannelsLastHook().before_train(SimpleNamespace(model=layer))
    y = layer(x.contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous() == kept
    y.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-4, atol=1e-4)
    generated = GeneratedConv2d(channels, 16, 1, stride=stride)
    ChannelsLastHook().before_train(SimpleNamespace(model=generated))
    scale = Scale(0.5, 0, 0, 0.0)
    y = generated(x.contiguous(memory_format=torch.channels_last), scale)
    assert y.is_contiguous() == kept


def test_channels_last_leaves_deformable_convolutions_alone():
    from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack

    for kind in (ModulatedDeformConv2dPack, DeformConv2dPack):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), kind(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1))
        nn.init.normal_(model[1].conv_offset.weight)
        x = torch.rand(2, 3, 17, 19)
        with torch.no_grad():
            expected = model.eval()(x)
            ChannelsLastHook().before_train(SimpleNamespace(model=model))
            assert torch.allclose(model(x), expected, atol=1e-6)


def test_workers_draw_something_else_in_every_epoch():
    loader = DataLoader(Drawn(), num_workers=1)
    runner = SimpleNamespace(train_dataloader=loader, seed=0, epoch=0, iter=0)
    drawn = []
    for runner.epoch in (0, 1, 0):
        EpochSeedHook().before_train_epoch(runner)
        drawn.append(next(iter(loader)).item())
    assert drawn[0] == drawn[2] != drawn[1]


class Drawn(Dataset):
    """Random numbers."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return torch.rand(())
