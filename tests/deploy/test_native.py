"""What is computed in C++: the outputs of the layers, in any situation that a model may be in."""

import contextlib
import copy
import pickle
import platform
import shutil
import stat
import threading

import pytest
import torch
import torch.autograd.forward_ad as fwAD
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmscale.deploy import fuse, native
from mmscale.deploy.native import NativeBottleneck, NativeScaleBottleneck, WinogradConv2d
from mmscale.errors import UserError
from mmscale.models import ReXNet, ReXNetLite, ScaleNet
from mmscale.models.backbones.rexnet import LinearBottleneck
from mmscale.models.backbones.scalenet import DilatedPool, ScaleBottleneck

COMPILER = next(filter(shutil.which, ('c++', 'g++', 'clang++')), None)
pytestmark = pytest.mark.skipif(not COMPILER, reason='there is no C++ compiler')


def trained(model):
    """The model with norms that do something, in eval mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def natives(model):
    return [m for m in model.modules() if isinstance(m, NativeBottleneck)]


def assert_near(found, expected, tolerance=5e-6):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max()


@contextlib.contextmanager
def on_threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rexnet():
    torch.manual_seed(0)
    return fuse(trained(ReXNet(width_mult=1.0)), native=True)


@pytest.mark.parametrize(
    ('kind', 'width_mult', 'output_stride', 'shape'),
    [
        (ReXNet, 1.0, 32, (2, 3, 64, 96)),
        (ReXNet, 0.6, 32, (3, 3, 32, 33)),
        (ReXNet, 1.3, 8, (1, 3, 130, 97)),
        (ReXNet, 3.0, 16, (1, 3, 64, 64)),
        (ReXNetLite, 1.0, 32, (2, 3, 75, 33)),
        (ReXNetLite, 1.5, 16, (1, 3, 224, 224)),
    ],
)
def test_outputs_are_those_in_double_precision(kind, width_mult, output_stride, shape):
    torch.manual_seed(0)
    model = trained(kind(width_mult=width_mult, output_stride=output_stride))
    fused = fuse(model, native=True)
    assert len(natives(fused)) == 16
    x = torch.randn(shape)
    with torch.no_grad():
        assert_near(fused(x), model.double()(x.double()))


@settings(deadline=None, max_examples=25)
@given(
    channels=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    expansion=st.sampled_from([1, 6]),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 1, 2, 4]),
    squeeze_excite=st.booleans(),
    act=st.sampled_from([nn.SiLU, nn.ReLU6]),
    size=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 130)),
    threads=st.integers(1, 3),
)
def test_any_block(channels, expansion, stride, dilation, squeeze_excite, act, size, threads):
    if channels[0] * expansion < 12:  # squeeze-excite would have no channel
        squeeze_excite = False
    torch.manual_seed(0)
    block = trained(
        LinearBottleneck(
            *channels, stride=stride, dilation=dilation, expansion=expansion,
            squeeze_excite=squeeze_excite, act=act,
        )
    )  # fmt: skip
    fused = fuse(nn.Sequential(block), native=True)
    assert len(natives(fused)) == 1
    x = torch.randn(size[0], channels[0], *size[1:])
    with torch.no_grad(), on_threads(threads):
        assert_near([fused(x)], [block.double()(x.double())])


@settings(deadline=None, max_examples=25)
@given(
    channels=st.tuples(st.integers(32, 150), st.integers(32, 150)),
    size=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 60)),
    bias=st.booleans(),
    threads=st.integers(1, 3),
)
def test_any_3x3_convolution(channels, size, bias, threads):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, 3, padding=1, bias=bias)
    fused = fuse(nn.Sequential(conv), native=True)
    assert type(fused[0]) is WinogradConv2d
    x = torch.randn(size[0], channels[0], *size[1:])
    with torch.no_grad(), on_threads(threads):
        assert_near([fused(x)], [conv.double()(x.double())])


@pytest.mark.parametrize(
    'conv',
    [
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode='reflect'),
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(3, 64, 3, padding=1),
        nn.Conv2d(64, 16, 3, padding=1),
    ],
)
def test_other_convolutions_stay(conv):
    fused = fuse(nn.Sequential(conv), native=True)
    assert type(fused[0]) is nn.Conv2d
    x = torch.randn(2, conv.in_channels, 12, 12)
    with torch.no_grad():
        assert_near([fused(x)], [conv.double()(x.double())])


@pytest.mark.parametrize('weight', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('given', [torch.contiguous_format, torch.channels_last])
def test_memory_is_that_of_pytorchs_convolution(weight, given):
    conv = nn.Conv2d(64, 64, 3, padding=1).to(memory_format=weight)
    x = torch.randn(2, 64, 9, 10).to(memory_format=given)
    with torch.no_grad():
        expected = conv(x)
        assert native.to_winograd(conv)
        assert conv(x).stride() == expected.stride()


@settings(deadline=None, max_examples=40)
@given(
    channels=st.tuples(st.integers(1, 40), st.integers(1, 20)),
    neurons=st.lists(st.sampled_from([0, 1, 5, 16, 33, 40]), min_size=4, max_size=4).filter(any),
    side=st.sampled_from([56, 7]),
    resize=st.sampled_from(['auto', 'nearest', 'bilinear']),
    pool=st.sampled_from(['none', 'halving', 'dilated']),
    size=st.tuples(st.integers(1, 3), st.integers(2, 40), st.integers(2, 40)),
    threads=st.integers(1, 3),
)
def test_any_block_of_scalenet(channels, neurons, side, resize, pool, size, threads):
    torch.manual_seed(0)
    pools = dict(none=None, halving=nn.MaxPool2d(2), dilated=DilatedPool(2))
    block = trained(
        ScaleBottleneck(
            *channels, pool=pools[pool], neurons=neurons, scales=(1, 2, 4, 7), side=side,
            resize=resize, dilation=1 + (pool == 'dilated'),
        )
    )  # fmt: skip
    fused = fuse(nn.Sequential(block), native=True)
    assert type(fused[0]) is NativeScaleBottleneck
    x = torch.randn(size[0], channels[0], *size[1:]).relu()
    with torch.no_grad(), on_threads(threads):
        assert_near([fused(x)], [block.double()(x.double())])


@pytest.mark.parametrize('threads', [1, 2])
def test_a_map_that_the_caches_do_not_hold(threads):
    torch.manual_seed(0)
    block = trained(ScaleBottleneck(64, 16, neurons=(33, 7), scales=(1, 2), side=56, resize='auto'))
    fused = fuse(nn.Sequential(block), native=True)
    x = torch.randn(2, 64, 190, 190)  # four million numbers
    with torch.no_grad(), on_threads(threads):
        assert_near([fused(x)], [block.double()(x.double())])


def test_nan_goes_through_scalenets_blocks():
    torch.manual_seed(0)
    options = dict(neurons=(5, 40, 3), scales=(1, 2, 7), side=56, resize='auto')
    fused = fuse(nn.Sequential(trained(ScaleBottleneck(8, 4, **options))), native=True)
    plain = copy.deepcopy(fused[0])
    plain.__class__ = ScaleBottleneck
    x = torch.randn(1, 8, 12, 9)
    x[0, 3, 5, 6] = torch.nan
    with torch.no_grad():
        assert (plain(x).isnan() <= fused(x).isnan()).all()  # 3x3 ones spread it a pixel further
        x[0, 3, 5, 6] = torch.inf
        assert (~plain(x).isfinite() <= ~fused(x).isfinite()).all()


def changed_act(block):
    block.act = nn.LeakyReLU()


def changed_pool(block):
    block.pool = nn.AvgPool2d(2)


def hooked_inside(block):
    block.aggregate.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ('change', 'native'), [(changed_act, False), (changed_pool, True), (hooked_inside, False)]
)
def test_what_somebody_has_changed_in_scalenets_blocks(change, native):
    torch.manual_seed(0)
    options = dict(pool=nn.MaxPool2d(2), neurons=(5, 6), scales=(1, 2), side=56, resize='auto')
    block = trained(ScaleBottleneck(8, 4, **options))
    change(block)
    fused = fuse(nn.Sequential(block), native=True)
    assert (type(fused[0]) is NativeScaleBottleneck) == native
    x = torch.randn(2, 8, 17, 12)
    with torch.no_grad():
        assert_near([fused(x)], [block.double()(x.double())])


def test_a_gradient_through_scalenets_blocks():
    torch.manual_seed(0)
    block = trained(ScaleBottleneck(8, 4, neurons=(5, 6), scales=(1, 2), side=56, resize='auto'))
    fused = fuse(nn.Sequential(block), native=True)
    found, expected = (torch.randn(1, 8, 6, 6, generator=g).requires_grad_() for g in generators(2))
    fused(found).sum().backward()
    block(expected).sum().backward()
    assert_near([found.grad], [expected.grad], 1e-5)


def generators(count):
    return [torch.Generator().manual_seed(0) for _ in range(count)]


def test_scalenet_and_its_state():
    torch.manual_seed(0)
    model = trained(ScaleNet(depth=50))
    fused, plain = fuse(model, native=True), fuse(model)
    x = torch.randn(2, 3, 75, 98)
    assert any(isinstance(m, WinogradConv2d) for m in fused.modules())
    assert sum(isinstance(m, NativeScaleBottleneck) for m in fused.modules()) == 16
    assert fused.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        expected = fused(x)
        assert_near(expected, model.double()(x.double()))
        copied, read = copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))
        for parameter in fused.parameters():
            parameter.mul_(2)
        assert not torch.equal(fused(x)[0], expected[0])
        assert_near(copied(x), expected, 0)
        assert_near(read(x), expected, 0)
    traced = torch.jit.trace(copied, x)
    program = torch.export.export(copied, (x,)).module()
    with torch.no_grad():
        assert_near(traced(x), expected)
        assert_near(program(x), expected)


def test_large_values_and_nan_go_the_way_of_the_layers(rexnet):
    block = rexnet.stages[1][0]
    x = torch.randn(1, 38, 9, 9) * 1e4
    with torch.no_grad():
        assert_near([block(x)], [block.block(x)])
        x[0, 0, 0, 0] = torch.nan
        assert torch.equal(block(x).isnan(), block.block(x).isnan())


def test_what_it_cannot_do_is_done_by_the_layers(rexnet):
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = rexnet(x)
        assert [y.shape[0] for y in rexnet(x[:0])] == [0] * 4
    wanted = x.clone().requires_grad_()
    rexnet(wanted)[0].sum().backward()
    assert wanted.grad.abs().sum() > 0
    traced = torch.jit.trace(rexnet, x)
    program = torch.export.export(rexnet, (x,)).module()
    with torch.no_grad():
        assert_near(traced(x), expected)
        assert_near(program(x), expected)
        assert_near(copy.deepcopy(rexnet).double()(x.double()), expected)
    with pytest.raises(RuntimeError, match='channels'):
        rexnet.stages[1][0](torch.zeros(1, 39, 8, 8))


def test_other_weights_are_seen_at_once(rexnet):
    x = torch.randn(1, 3, 64, 64)
    other = fuse(trained(ReXNet(width_mult=1.0)), native=True)
    with torch.no_grad():
        before, expected = rexnet(x), other(x)
        rexnet.load_state_dict(other.state_dict())
        assert_near(rexnet(x), expected, 0)
        rexnet.stages[0][0].block.project.conv.weight.mul_(2)
        assert not torch.equal(rexnet(x)[0], before[0])


def rows():
    convs = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 48, 3, padding=1)
    return fuse(nn.Sequential(*convs), native=True)


@pytest.mark.parametrize(
    'change',
    [
        lambda conv: conv.weight.data.copy_(torch.randn(48, 32, 3, 3)),
        lambda conv: conv.weight.data.mul_(2),
        lambda conv: conv.weight.numpy().fill(1),
        lambda conv: conv.bias.data.fill_(1),
        lambda conv: setattr(conv.weight, 'data', torch.randn(48, 32, 3, 3)),
        lambda conv: setattr(conv, 'weight', nn.Parameter(torch.randn(48, 32, 3, 3), False)),
        lambda conv: conv.half().float(),
    ],
)
def test_weights_that_pytorch_does_not_count_are_seen_too(change):
    model, x = rows(), torch.randn(1, 3, 12, 12)
    for times in (1, 2, 2, 2):
        with torch.no_grad():
            model(x)
            for _ in range(times):
                change(model[1])
            expected = torch.conv2d(model[0](x), model[1].weight, model[1].bias, padding=1)
            assert_near([model(x)], [expected], 1e-5)


def test_one_weight_with_a_gradient_is_enough():
    model, x = rows(), torch.randn(1, 3, 12, 12)
    model[1].bias.requires_grad_(True)
    model(x).sum().backward()
    assert model[1].bias.grad.tolist() == pytest.approx([144] * 48)


def test_weights_that_share_their_memory():
    model, x = rows(), torch.randn(1, 3, 12, 12)
    model[1].weight = nn.Parameter(torch.randn(1, 32, 3, 3).expand(48, 32, 3, 3), False)
    with torch.no_grad():
        expected = torch.conv2d(model[0](x), model[1].weight, model[1].bias, padding=1)
        assert_near([model(x)], [expected], 1e-5)


def test_weights_changed_in_inference_mode():
    with torch.inference_mode():
        model, x = rows(), torch.randn(1, 3, 12, 12)
        model(x)
        model[1].weight.mul_(2)
        expected = torch.conv2d(model[0](x), model[1].weight, model[1].bias, padding=1)
        assert_near([model(x)], [expected], 1e-5)


def test_forward_mode_gradients_are_the_layers():
    model, x, direction = rows(), torch.randn(1, 3, 12, 12), torch.randn(1, 3, 12, 12)
    with fwAD.dual_level():
        tangent = fwAD.unpack_dual(model(fwAD.make_dual(x, direction))).tangent
    with torch.no_grad():
        expected = model(x + direction) - model(x)  # it is linear
    assert_near([tangent], [expected], 1e-4)


def test_copies_and_files_are_of_their_own(rexnet):
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = rexnet(x)
        copied, read = copy.deepcopy(rexnet), pickle.loads(pickle.dumps(rexnet))
        for parameter in rexnet.parameters():
            parameter.zero_()
        assert_near(copied(x), expected, 0)
        assert_near(read(x), expected, 0)


def test_inference_mode(rexnet):
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = rexnet(x)
    with torch.inference_mode():
        assert_near(rexnet(x), expected, 0)
        assert_near(fuse(rexnet)(x), expected)


def test_threads_do_not_share_their_maps(rexnet):
    images = [torch.randn(1, 3, side, side) for side in (64, 96, 128, 160)]
    with torch.no_grad():
        expected = [rexnet(x) for x in images]
    found = {}

    def work(index):
        with torch.no_grad():
            for _ in range(5):
                found[index] = rexnet(images[index])

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for index in range(4):
        assert_near(found[index], expected[index], 0)


def test_other_norms_and_hooks_leave_a_block_as_it_is():
    model = ReXNet(width_mult=1.0, norm_cfg=dict(type='GN', num_groups=1)).eval()
    assert not natives(fuse(model, native=True))
    model = ReXNet(width_mult=1.0).eval()
    model.stages[1][0].se.register_forward_hook(lambda *_: None)
    assert len(natives(fuse(model, native=True))) == 15


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    native.library.cache_clear()
    yield tmp_path / 'cache/mmscale'
    native.library.cache_clear()


def test_the_library_is_compiled_once(empty_cache):
    native.library()
    [path] = empty_cache.iterdir()
    written = path.stat().st_mtime_ns
    native.library.cache_clear()
    native.library()
    assert [p.stat().st_mtime_ns for p in empty_cache.iterdir()] == [written]


@pytest.mark.skipif(platform.machine() != 'x86_64', reason='of x86-64')
@pytest.mark.parametrize(('without', 'lanes'), [('-mno-avx512f', 8), ('-mno-avx', 4)])
def test_processors_of_narrower_vectors(empty_cache, monkeypatch, without, lanes):
    monkeypatch.setenv('CXX', f'{COMPILER} {without}')
    torch.manual_seed(0)
    models = [trained(model) for model in (ReXNet(), ReXNetLite(), ScaleNet(depth=50))]
    x = torch.randn(2, 3, 75, 98)
    for model in models:
        fused = fuse(model, native=True)
        assert native.library().lanes() <= lanes
        with torch.no_grad():
            assert_near(fused(x), model.double()(x.double()))


def test_a_missing_compiler_is_named(empty_cache, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler -v')
    with pytest.raises(UserError, match=r"'no-such-compiler' is missing; .* apt install g\+\+"):
        fuse(ReXNet(width_mult=1.0).eval(), native=True)
    monkeypatch.delenv('CXX')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UserError, match='there is no compiler; '):
        fuse(ReXNet(width_mult=1.0).eval(), native=True)


def test_a_broken_library_is_removed(empty_cache, monkeypatch, tmp_path):
    native.library()
    [path] = empty_cache.iterdir()
    other = tmp_path / 'other/mmscale' / path.name  # the system keeps what was loaded by its name
    other.parent.mkdir(parents=True)
    other.write_bytes(b'')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'other'))
    native.library.cache_clear()
    with pytest.raises(UserError, match='could not be loaded and is removed: .* XDG_CACHE_HOME'):
        native.library()
    assert not list(other.parent.iterdir())


def test_a_cache_that_cannot_be_made(empty_cache, monkeypatch):
    empty_cache.parent.write_text('a file')
    with pytest.raises(UserError, match='cache'):
        native.library()
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(native.library.__wrapped__.__globals__['Path'], 'home', no_home)
    with pytest.raises(UserError, match='no home here.* XDG_CACHE_HOME names another folder'):
        native.library()


def no_home():
    raise RuntimeError('no home here')


def test_a_command_that_cannot_be_read_is_named(empty_cache, monkeypatch):
    monkeypatch.setenv('CXX', '"')
    with pytest.raises(UserError, match='CXX=.*is no command'):
        native.library()


def test_a_compiler_that_refuses_leaves_nothing(empty_cache, monkeypatch, tmp_path):
    compiler = tmp_path / 'refuses'
    compiler.write_text('#!/bin/sh\necho "x.cpp:1:1: error: no such dialect" >&2; exit 1\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('CXX', str(compiler))
    with pytest.raises(UserError, match=r'does not compile .*: error: no such dialect\. '):
        fuse(ReXNet(width_mult=1.0).eval(), native=True)
    assert not list(empty_cache.iterdir())


def test_fusing_alone_needs_no_compiler(empty_cache, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    fuse(ReXNet(width_mult=1.0).eval())
