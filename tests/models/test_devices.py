"""All is computed on the input's device: seen without a GPU, by tensors that have no numbers."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmscale.benchmark.forms import build
from mmscale.deploy import fuse

pytestmark = pytest.mark.skipif(
    torch.__version__ < '2.6' and not torch.cuda.is_available(),
    reason='this torch asks for a driver even for tensors that have no numbers',
)


@pytest.mark.parametrize(
    ('name', 'form'),
    [('rexnet-100', 'fused'), ('scalenet-50-cheap-cp', 'training'), ('san-resnet-50', 'fused')],
)
def test_backbones(name, form):
    model = build(name)
    model = model.train() if form == 'training' else fuse(model)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.set_grad_enabled(form == 'training'):
        maps = model.to('cuda')(torch.rand(2, 3, 96, 64, device='cuda'))
    assert {y.device.type for y in maps} == {'cuda'}
    assert [tuple(y.shape[2:]) for y in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]


def test_it_notices():
    """A constant on the CPU is refused."""
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(Exception, match='device'):
        torch.rand(2, 3, device='cuda') + torch.arange(3)
