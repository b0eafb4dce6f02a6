"""What every backbone promises, for every published variant."""

import copy
import pickle
from math import ceil, sqrt

import compiled
import pytest
import torch
from mmengine.registry import MODELS
from networks import WITH_CP, copy_of_state
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from variants import (
    FAMILIES,
    LITE,
    MEASURED,
    REXNET,
    SCALENET,
    VARIANTS,
    build,
    each_family,
    each_variant,
    images,
    rexnets,
    scoped,
)

import mmscale
from mmscale.benchmark import saved_bytes


def loss(outputs):
    """A projection on random directions: sums after a BN would be constant."""
    return sum((y * images(*y.shape, seed=i)).mean() for i, y in enumerate(outputs))


def batch_norms(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm)}


def changed(model, before):
    """Names of what differs from an earlier state."""
    after = model.state_dict()
    assert list(after) == list(before)
    return {key for key in before if not torch.equal(before[key], after[key])}


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def assert_close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# Names


def test_import_is_light_and_registers_bare_names(fresh_python):
    code = """
import sys, mmscale
heavy = [name for name in ('mmdet', 'mmcv.ops', 'mmengine.model') if name in sys.modules]
assert not heavy, heavy
from mmengine.registry import MODELS
for name in sys.argv[1:]:
    print(type(MODELS.build(dict(type=name))).__name__)
"""
    assert fresh_python(code, *FAMILIES).split() == list(FAMILIES)


# mmdet's registry imports all of mmdet, which without operators needs `import mmscale` first.
@pytest.mark.parametrize('package', ['mmengine', 'mmdet'])
def test_scoped_names_need_no_import(package, fresh_python):
    first = package == 'mmdet' and not compiled.installed()
    code = f"""
import sys
{'import mmscale' if first else ''}
from {package}.registry import MODELS
assert ('mmscale' in sys.modules) is {first}
for name in sys.argv[1:]:
    print(type(MODELS.build(dict(type='mmscale.' + name))).__name__)
"""
    assert fresh_python(code, *FAMILIES).split() == list(FAMILIES)


def test_custom_imports_register_bare_names(fresh_python):
    code = """
import sys
from mmdet.registry import MODELS
from mmengine.config import Config
assert 'mmscale' not in sys.modules
Config.fromstring('''
custom_imports = dict(imports=['mmscale'], allow_failed_imports=False)
''', '.py')
for model in [dict(type=name) for name in sys.argv[1:]]:
    print(type(MODELS.build(model)).__name__)
"""
    assert fresh_python(code, *FAMILIES).split() == list(FAMILIES)


# Channels, strides and shapes


@pytest.fixture(scope='module', params=VARIANTS)
def built(request):
    """A model of every variant, with its arguments and its channels."""
    cfg, channels = VARIANTS[request.param]
    return build(cfg), cfg, channels


def sides(cfg, side):
    """Sides of the maps at strides 4, 8, 16, 32: convolutions round up, max pools down."""
    maps = [ceil(side / 4)]
    for _ in range(3):
        maps.append(maps[-1] // 2 if cfg['type'] == 'ScaleNet' else ceil(maps[-1] / 2))
    return maps


def expected_shapes(cfg, channels, batch, height, width):
    maps = zip(channels, sides(cfg, height), sides(cfg, width), strict=True)
    return [(batch, *map_shape) for map_shape in maps]


def test_channels_and_strides(built):
    model, cfg, channels = built
    assert model.out_channels == channels
    assert model.out_strides == (4, 8, 16, 32)


@pytest.mark.parametrize('size', [(1, 32, 32), (2, 33, 47), (1, 65, 32), (2, 64, 96)], ids=str)
def test_shapes(built, size):
    model, cfg, channels = built
    with torch.no_grad():
        outputs = model.eval()(images(size[0], 3, *size[1:]))
    assert type(outputs) is tuple
    assert [tuple(y.shape) for y in outputs] == expected_shapes(cfg, channels, *size)
    assert all(y.isfinite().all() for y in outputs)


@pytest.mark.parametrize('batch', [1, 2])
def test_training_reaches_every_parameter(built, batch):
    model, cfg, channels = built
    model.train().zero_grad()
    outputs = model(images(batch, 3, 64, 96))
    assert [tuple(y.shape) for y in outputs] == expected_shapes(cfg, channels, batch, 64, 96)
    loss(outputs).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    if batch > 1:
        # Two gradients are zero by nature: of a bias before a norm (but for rounding), and of what
        # ends in a norm of one value only, as ScaleNet's pooled maps of a single small image do.
        still = [name for name, p in model.named_parameters() if p.dim() > 1 and not p.grad.any()]
        assert still == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


@each_variant
@pytest.mark.parametrize('out_indices', [None, (0,), (1, 2, 3), [0, 3]], ids=str)
def test_feature_channels(variant, out_indices):
    cfg, channels = VARIANTS[variant]
    if out_indices is not None:
        cfg = dict(cfg, out_indices=out_indices)
        channels = tuple(channels[i] for i in out_indices)
    assert mmscale.feature_channels(**cfg) == channels
    whole = scoped(dict(cfg, norm_eval=True, init_cfg=None))
    assert mmscale.feature_channels(**whole) == channels
    with torch.device('meta'):
        assert build(cfg).out_channels == channels


@each_family
def test_later_stages_are_not_built(cfg):
    whole, part = build(cfg).eval(), build(cfg, out_indices=(1,)).eval()
    assert part.out_strides == (8,)
    state = whole.state_dict()
    kept = part.state_dict()
    assert set(kept) < set(state)
    assert {key.split('.')[1] for key in kept if key.startswith('stages.')} == {'0', '1'}
    part.load_state_dict({key: state[key] for key in kept})
    x = images(1, 3, 64, 64)
    assert_equal(part(x), whole(x)[1:2])


@pytest.mark.parametrize(
    ('cfg', 'channels', 'low', 'high'),
    [
        (dict(REXNET, width_mult=0.9), 1152, -0.2785, float('inf')),  # SiLU's minimum
        (dict(REXNET, width_mult=1.3), 1664, -0.2785, float('inf')),
        (LITE, 1280, 0, 6),  # ReLU6
        (dict(LITE, width_mult=1.3), 1664, 0, 6),
    ],
    ids=['rexnet-090', 'rexnet-130', 'rexnet-lite-100', 'rexnet-lite-130'],
)
def test_index_4_is_the_wide_convolution(cfg, channels, low, high):
    model = build(cfg, out_indices=(3, 4)).eval()
    assert model.out_channels[1] == channels
    assert model.out_strides == (32, 32)
    assert mmscale.feature_channels(**cfg, out_indices=(4,)) == (channels,)
    narrow, wide = model(10 * images(1, 3, 64, 96))
    assert wide.shape == (1, channels, *narrow.shape[2:])
    assert low <= wide.min() < wide.max() <= high


# Freezing, norms and memory


def is_frozen(name, frozen_stages):
    stages = [f'stages.{i}.' for i in range(frozen_stages)]
    return frozen_stages >= 0 and name.startswith(('stem.', *stages))


@each_family
@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 3, 4])
def test_frozen_stages(cfg, frozen_stages):
    model = build(cfg, frozen_stages=frozen_stages)
    model.eval()
    assert model.train() is model
    before = copy_of_state(model)
    outputs = model(images(2, 3, 64, 64))
    if frozen_stages < 4:
        loss(outputs).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is not is_frozen(name, frozen_stages), name
        assert (parameter.grad is None) is is_frozen(name, frozen_stages), name
    for name, module in batch_norms(model).items():
        assert module.training is not is_frozen(name, frozen_stages), name
    moved = {key for key in before if key.endswith(('running_mean', 'running_var'))}
    assert changed(model, before) & moved == {
        key for key in moved if not is_frozen(key, frozen_stages)
    }


@each_family
def test_norm_eval(cfg):
    model = build(cfg, norm_eval=True).train()
    assert model.training
    before = copy_of_state(model)
    outputs = model(images(2, 3, 64, 64))
    loss(outputs).backward()
    assert not any(norm.training for norm in batch_norms(model).values())
    assert changed(model, before) == set()
    assert all(p.grad is not None for p in model.parameters())
    assert_equal(outputs, model.eval()(images(2, 3, 64, 64)))


@each_family
def test_norm_cfg(cfg):
    plain = batch_norms(build(cfg))
    assert {type(norm) for norm in plain.values()} == {nn.BatchNorm2d}
    group = build(cfg, norm_cfg=dict(type='GN', num_groups=1))
    assert not batch_norms(group)
    assert sum(isinstance(m, nn.GroupNorm) for m in group.modules()) == len(plain)
    loss(group(images(1, 3, 64, 64))).backward()
    assert all(p.grad is not None for p in group.parameters())

    fixed = build(cfg, norm_cfg=dict(type='BN', requires_grad=False))
    assert not any(p.requires_grad for m in batch_norms(fixed).values() for p in m.parameters())
    assert next(fixed.stem.conv.parameters()).requires_grad

    synced = build(cfg, norm_cfg=dict(type='SyncBN'))
    norms = batch_norms(synced).values()
    assert norms
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)


CHECKPOINTED = [
    *[(name, {}) for name in FAMILIES],
    *[(name, dict(frozen_stages=2)) for name in FAMILIES],
    *[(name, dict(norm_eval=True)) for name in FAMILIES],
    *[(name, dict(drop_path_rate=0.5)) for name in ('ReXNet', 'ReXNetLite')],
]


@pytest.mark.parametrize('how', WITH_CP)
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize(('family', 'changes'), CHECKPOINTED, ids=str)
def test_with_cp_changes_nothing(family, changes, batch, how):
    results = []
    for with_cp in (False, how):
        model = build(FAMILIES[family], out_indices=(0, 1, 2), with_cp=with_cp, **changes)
        model.double().train()  # rounding would be amplified by norms of few values
        torch.manual_seed(1)  # of drop path
        value = loss(model(images(batch, 3, 32, 32).double()))
        value.backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((value, grads, model.state_dict()))
    (plain, grads, state), (recomputed, grads_cp, state_cp) = results
    assert plain.item() == pytest.approx(recomputed.item(), rel=1e-12)
    assert list(grads) == list(grads_cp)
    assert_close(grads_cp.values(), grads.values(), 1e-10)
    assert list(state) == list(state_cp)
    assert_close(state_cp.values(), state.values(), 1e-12)


@pytest.mark.parametrize('how', WITH_CP)
@each_family
def test_with_cp_saves_activations(cfg, how):
    plain, recomputed = (_held_and_computed(build(cfg, with_cp=c).train()) for c in (False, how))
    share = 1 if cfg['type'] not in MEASURED else 0.8 if how == 'cheap' else 0.5
    assert recomputed[0] < plain[0] * share
    # No convolution runs twice.
    assert recomputed[1] == plain[1] or how is True
    with pytest.raises(ValueError, match="with_cp='cheep' must be True, False or 'cheap'"):
        build(cfg, with_cp='cheep')


class Convolutions(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts them."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


def _held_and_computed(model):
    """Bytes held after a forward pass; convolutions of both passes (not their gradients)."""
    x = images(2, 3, 64, 64)
    with Convolutions() as mode:
        loss(model(x)).backward()
    return saved_bytes(model, x), mode.count


@rexnets
def test_drop_path(cfg):
    model, plain = build(cfg, drop_path_rate=0.3), build(cfg)
    assert list(model.state_dict()) == list(plain.state_dict())
    x = images(2, 3, 64, 64)
    assert_equal(model.eval()(x), plain.eval()(x))

    blocks = [block for stage in model.stages for block in stage]
    rates = [getattr(block.drop_path, 'drop_prob', None) for block in blocks]
    for index, (block, rate) in enumerate(zip(blocks, rates, strict=True)):
        # The first block's rate is 0.
        has_rate = block.shortcut and index > 0
        assert rate == (pytest.approx(0.3 * index / 15) if has_rate else None)
    assert sum(rate is not None for rate in rates) == 11

    model.train()
    torch.manual_seed(0)
    first, second = (model(x)[3] for _ in range(2))
    assert not torch.equal(first, second)


# State


@each_family
def test_instances_share_nothing(cfg):
    trained, other = build(cfg), build(cfg)
    before = copy_of_state(other)
    x = images(2, 3, 64, 64)
    expected = other.eval()(x)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    loss(trained.train()(x)).backward()
    optimizer.step()
    assert changed(trained, before)
    assert not changed(other, before)
    assert not other.training
    assert all(p.grad is None for p in other.parameters())
    assert_equal(other(x), expected)


def test_structures_share_nothing():
    light, rows = build(VARIANTS['scalenet-50-light'][0]), build(SCALENET)
    again = build(VARIANTS['scalenet-50-light'][0])
    assert light.structure == again.structure != rows.structure
    assert not changed(again, copy_of_state(light))


@each_family
@pytest.mark.parametrize(
    'restore',
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=['deepcopy', 'pickle'],
)
def test_copies(cfg, restore):
    model = build(cfg).eval()
    other = restore(model)
    x = images(1, 3, 64, 64)
    assert_equal(other(x), model(x))
    assert other.out_channels == model.out_channels
    assert not {id(p) for p in model.parameters()} & {id(p) for p in other.parameters()}


@each_family
def test_state_dict_round_trip(cfg, tmp_path):
    model = build(cfg)
    model(images(2, 3, 64, 64))  # running statistics of its own
    torch.save(model.state_dict(), tmp_path / 'state.pth')
    other = MODELS.build(scoped(cfg))  # other random weights
    x = images(1, 3, 64, 64)
    assert not torch.equal(other.eval()(x)[3], model.eval()(x)[3])
    other.load_state_dict(torch.load(tmp_path / 'state.pth'), strict=True)
    assert_equal(other(x), model(x))


@each_family
@pytest.mark.parametrize('mode', [True, False])
def test_mode_returns_the_model(cfg, mode):
    model = build(cfg)
    assert model.train(mode) is model
    assert model.eval() is model
    assert not any(module.training for module in model.modules())


# Ways to run it


@each_family
def test_channels_last(cfg):
    model = build(cfg).eval()
    x = images(2, 3, 64, 96)
    expected = model(x)
    model.to(memory_format=torch.channels_last)
    assert_close(model(x.to(memory_format=torch.channels_last)), expected, 1e-4)


@each_family
def test_autocast(cfg):
    model = build(cfg).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        outputs = model(images(2, 3, 64, 96))
        loss([y.float() for y in outputs]).backward()
    assert all(y.isfinite().all() for y in outputs)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@each_family
def test_jit_trace(cfg):
    model = build(cfg).eval()
    traced = torch.jit.trace(model, images(1, 3, 64, 64), check_trace=False)
    x = images(2, 3, 64, 64, seed=1)
    assert_close(traced(x), model(x), 1e-5)


@pytest.mark.parametrize(
    ('size', 'nearest', 'bilinear'),
    [
        # Maps of 16, 8, 4, 2: every pooled side divides them.
        (64, [True] * 4, [False] * 4),
        # Maps of 40, 20, 10, 5: the last is pooled by 2 to 2, which does not divide 5.
        (160, [True, True, True, False], [False] * 4),
    ],
)
def test_resize(size, nearest, bilinear):
    models = {resize: build(SCALENET, resize=resize) for resize in ('auto', 'nearest', 'bilinear')}
    outputs = {name: model.eval()(images(1, 3, size, size)) for name, model in models.items()}
    for name, expected in (('nearest', nearest), ('bilinear', bilinear)):
        pairs = zip(outputs['auto'], outputs[name], strict=True)
        assert [torch.equal(a, b) for a, b in pairs] == expected, name


# Initialisation


def test_scalenet_initialisation():
    model = build(VARIANTS['scalenet-50-light'][0], out_indices=(0, 1))
    model.init_weights()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 4000]
    assert len(convs) > 20
    for conv in convs:
        expected = sqrt(2 / (conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels))
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.08)
        assert abs(conv.weight.mean().item()) < 0.08 * expected
    for norm in batch_norms(model).values():
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()


@rexnets
def test_rexnet_keeps_pytorchs_initialisation(cfg):
    model = build(cfg)
    before = copy_of_state(model)
    model.init_weights()
    assert changed(model, before) == set()


@each_family
def test_pretrained(cfg, tmp_path):
    source = build(cfg)
    source(images(2, 3, 64, 64))
    path = tmp_path / 'backbone.pth'
    torch.save(source.state_dict(), path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model = MODELS.build(scoped(dict(cfg, init_cfg=init_cfg)))
    assert changed(model, source.state_dict())
    model.init_weights()
    assert not changed(model, source.state_dict())


# Errors: each names the value and what is allowed

WRONG = [
    (dict(REXNET, width_mult=1.1), ['width_mult=1.1', 'ReXNet', '0.9', '3.0']),
    (dict(REXNET, width_mult=-1.0), ['width_mult=-1.0', '0.9', '3.0']),
    (dict(REXNET, width_mult='1.0'), ["width_mult='1.0'", '3.0']),
    (dict(LITE, width_mult=0.9), ['width_mult=0.9', 'ReXNetLite', '1.3', '2.0']),
    (dict(type='SANResNet', depth=20), ['depth=20', '18', '152']),
    (dict(type='SANResNet', depth=18, groups=32), ['groups=32', 'depth 50']),
    (dict(type='ScaleNet', depth=18), ['depth=18', '50', '101', '152']),
    (dict(type='ScaleNet', structure='scalenet18'), ["'scalenet18'", "'scalenet50'"]),
    (dict(type='ScaleNet', depth=101, structure='scalenet50'), ['scalenet50', 'depth=101']),
]
WRONG_OUT_INDICES = [(0, 9), (-1,), (2, 1), (1, 1), (), 3, None, '03', (0.0, 1.0), (True,)]


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        *WRONG,
        (dict(REXNET, frozen_stages=6), ['frozen_stages=6', '-1', '5']),
        (dict(SCALENET, frozen_stages=5), ['frozen_stages=5', '-1', '4']),
        (dict(SCALENET, frozen_stages=-2), ['frozen_stages=-2', '-1', '4']),
        (dict(SCALENET, frozen_stages=1.0), ['frozen_stages=1.0', 'integer']),
        (dict(REXNET, drop_path_rate=1.0), ['drop_path_rate=1.0', '0', 'below 1']),
        (dict(LITE, drop_path_rate=-0.1), ['drop_path_rate=-0.1', '0', '1']),
        (dict(SCALENET, resize='cubic'), ["resize='cubic'", "'auto'", "'nearest'", "'bilinear'"]),
        (dict(SCALENET, out_indices=(3, 4)), ['out_indices=(3, 4)', '0 to 3']),
        (dict(REXNET, drop_path_rate=False), ['drop_path_rate=False']),
        (dict(REXNET, norm_cfg='BN'), ["norm_cfg='BN'", "dict(type='BN')"]),
        (dict(SCALENET, norm_cfg={}), ['norm_cfg={}', "dict(type='BN')"]),
        (dict(REXNET, init_cfg='timm://x'), ["init_cfg='timm://x'", "dict(type='Pretrained'"]),
        (dict(SCALENET, init_cfg=dict(checkpoint='x')), ["dict(type='Pretrained'"]),
    ],
)
def test_wrong_arguments(cfg, words):
    with torch.device('meta'), pytest.raises(ValueError) as error:
        build(cfg)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(('cfg', 'words'), WRONG)
def test_wrong_arguments_of_feature_channels(cfg, words):
    with pytest.raises(ValueError) as error:
        mmscale.feature_channels(**cfg)
    assert all(word in str(error.value) for word in words), error.value


@each_family
@pytest.mark.parametrize('out_indices', WRONG_OUT_INDICES, ids=str)
def test_wrong_out_indices(cfg, out_indices):
    last = len(MODELS.get(f'mmscale.{cfg["type"]}').stage_channels()) - 1
    for call in (build, lambda cfg: mmscale.feature_channels(**cfg)):
        with torch.device('meta'), pytest.raises(ValueError) as error:
            call(dict(cfg, out_indices=out_indices))
        assert f'out_indices={out_indices!r}' in str(error.value)
        assert f'ascending integers from 0 to {last}' in str(error.value)


@pytest.mark.parametrize('name', ['ResNet', 'mmscale.RexNet', 'mmdet.ReXNet', ''])
def test_unknown_backbone(name):
    with pytest.raises(ValueError) as error:
        mmscale.feature_channels(name)
    assert all(word in str(error.value) for word in (repr(name), *FAMILIES))


@each_family
def test_wrong_images(cfg):
    model, smallest = build(cfg), 16 if 'SAN' in cfg['type'] else 32
    for shape in [(1, 3, smallest - 1, 64), (1, 3, 64, smallest - 1), (1, 1, 64, 64), (3, 64, 64)]:
        with pytest.raises(ValueError) as error:
            model(torch.zeros(shape))
        words = (str(shape), '(N, 3, H, W)', f'at least {smallest} px')
        assert all(word in str(error.value) for word in words)
    assert all(map(len, model.eval()(torch.zeros(1, 3, smallest, smallest))))


def test_zero_init_residual_begins_with_shortcuts_alone():
    init_cfg = dict(type='Pretrained', checkpoint=None)
    network = build(dict(type='ScaleNet', depth=50, zero_init_residual=True, init_cfg=init_cfg))
    network.init_weights()
    blocks = [block for stage in network.stages for block in stage]
    assert len(blocks) == 16
    x = torch.rand(2, 64, 9, 11)
    assert torch.equal(blocks[1].eval()(blocks[0].eval()(x)), blocks[0](x))
    assert all(block.reduce.norm.weight.all() for block in blocks)


def test_zero_init_residual_leaves_weights_that_were_loaded(tmp_path):
    source = build(dict(type='ScaleNet', structure=[[1, 1, 1, 1]] * 4, depth=(1, 1, 1, 1)))
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    network = build(
        dict(
            type='ScaleNet',
            structure=[[1, 1, 1, 1]] * 4,
            depth=(1, 1, 1, 1),
            zero_init_residual=True,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth')),
        )
    )
    network.init_weights()
    assert network.stages[0][0].expand.norm.weight.all()
