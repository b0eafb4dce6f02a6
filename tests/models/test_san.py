"""SAN: the authors' networks, every resolution its own norms, and the plain network of each."""

from types import SimpleNamespace

import golden
import pytest
import torch
from commands import tool
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader
from networks import small_generators
from torch import nn

from mmscale import checkpoints, feature_channels
from mmscale.engine.hooks import CheckpointFitHook
from mmscale.errors import UserError
from mmscale.models import SANMobileNetV2, SANResNet
from mmscale.models.backbones.san import GeneratedConv2d

TAPS = ('stride4', 'stride8', 'stride16', 'stride32', 'conv')
CASES = {
    'san_resnet18': (SANResNet, dict(depth=18)),
    'san_resnet18_taps': (SANResNet, dict(depth=18, resolutions=(224, 192, 160))),
    'san_resnet18_208_data_free': (SANResNet, dict(depth=18, inference='data-free')),
    'san_mobilenetv2': (SANMobileNetV2, dict(out_indices=(4,))),
    'san_mobilenetv2_taps': (
        SANMobileNetV2,
        dict(resolutions=(224, 192, 160), out_indices=(0, 1, 2, 3, 4)),
    ),
}
SMALL = dict(resolutions=(64, 48, 32), encoding_base=91)
NETWORKS = {
    'resnet18': (SANResNet, dict(depth=18, **SMALL)),
    'resnext50': (SANResNet, dict(depth=50, groups=32, base_width=4, **SMALL)),
    'mobilenetv2': (SANMobileNetV2, SMALL),
}
each_network = pytest.mark.parametrize(('network', 'arguments'), NETWORKS.values(), ids=NETWORKS)


def build(network, **arguments):
    """A float64 network whose norms all differ, with generators as small as trained ones."""
    torch.manual_seed(0)
    model = small_generators(network(**arguments).double())
    for name, value in model.state_dict().items():
        if '.norms.' in name and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return model


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize(
    'case', ['san_resnet18_taps', 'san_resnet18_208_data_free', 'san_mobilenetv2_taps']
)
def test_outputs_are_the_references(case, tmp_path, log):
    reference = golden.Golden(case)
    state = golden.state_dict(case)
    path = tmp_path / 'san.pth'  # as a DataParallel checkpoint
    torch.save({'state_dict': {f'module.{key}': value for key, value in state.items()}}, path)
    cls, arguments = CASES[case]
    model = cls(**arguments, init_cfg=dict(type='Pretrained', checkpoint=str(path))).double()
    model.init_weights()
    model.eval()
    line = log.with_word(f'matched {len(model.state_dict())} of')
    assert ('unused (' in line) == ('resnet' in case or 'resnext' in case)
    weight = state.get('fc.module.weight', state.get('classifier.module.weight'))
    bias = state.get('fc.module.bias', state.get('classifier.module.bias'))
    errors = {}
    with torch.no_grad():
        for name in reference.names:
            tap, _, resolution = name.replace('logits', 'logits@').partition('@')
            features = model(golden.image(1, int(resolution), int(resolution)))
            if tap == 'logits':
                output = features[-1].mean((2, 3)) @ weight.T + bias
            else:
                output = features[TAPS.index(tap)]
            errors[name] = reference.error(name, output)
    assert max(errors.values()) <= 1e-9, errors


@pytest.mark.parametrize('case', ['san_resnet18', 'san_mobilenetv2'])
def test_tool_converts_them(case, tmp_path, capsys):
    source = tmp_path / 'source.pth'
    torch.save(golden.state_dict(case), source)
    out = tmp_path / 'out.safetensors'
    tool('convert_weights')([str(source), str(out)])
    assert 'SAN' in capsys.readouterr().out
    state = checkpoints.read_file(out)['state_dict']
    assert not [key for key in state if key.startswith('unused')]
    network, arguments = CASES[case]
    backbone = {k.removeprefix('backbone.'): v for k, v in state.items() if 'head' not in k}
    network(**arguments).load_state_dict(backbone, strict=True)


@each_network
@pytest.mark.parametrize(
    ('inference', 'resolution'),
    [('proxy', 48), ('proxy', 200), ('ideal', 40), ('data-free', 40), ('data-free', 200)],
)
def test_plain_network_is_the_same(network, arguments, resolution, inference):
    model = build(network, inference=inference, **arguments).eval()
    x = images(1, 3, 64, 80)
    with torch.no_grad():
        ours = model(x, resolution=resolution)
        plain = model.plain(resolution)
        theirs = plain(x)
    assert not [m for m in plain.modules() if isinstance(m, GeneratedConv2d)]
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-9 * a.abs().max()


@pytest.mark.parametrize('case', golden.SAN_CONFIGS)
def test_classifiers_of_the_configs_are_the_references(case, tmp_path):
    path = tmp_path / 'san.pth'
    torch.save(golden.state_dict(case), path)
    classifier = golden.build_classifier(golden.SAN_CONFIGS[case]).double()
    classifier.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    classifier.init_weights()
    classifier.eval()
    reference = golden.Golden(case)
    with torch.no_grad():
        for name in reference.names:
            size = int(name.removeprefix('logits'))
            features = classifier.backbone(golden.image(1, size, size))
            logits = classifier.head(classifier.neck(features))
            assert reference.error(name, logits) <= 1e-9


@pytest.mark.parametrize('kd', [False, True])
def test_classifier_trains_all_resolutions(kd):
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    classifier = golden.build_classifier('san-resnet-18', num_classes=5, resolutions=(64, 48, 32))
    classifier.kd = kd
    samples = [DataSample().set_gt_label(label) for label in (0, 3, 4)]
    losses = classifier.loss(torch.randn(3, 3, 64, 64), samples)
    expected = ['loss_64', 'loss_48', 'loss_32']
    assert list(losses) == [*expected, 'loss_kd'] if kd else expected
    sum(losses.values()).backward()
    generators = [m for m in classifier.modules() if isinstance(m, GeneratedConv2d)]
    assert all(m.generator.weight.grad.abs().max() > 0 for m in generators)


def test_classifier_trains_by_its_heads_loss():
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    classifier = golden.build_classifier('san-resnet-18', num_classes=5, resolutions=(64, 32))
    classifier.flip_prob = 0
    mixed = torch.tensor([[0.7, 0.0, 0.3, 0.0, 0.0], [0.0, 0.1, 0.0, 0.9, 0.0]])
    samples = [DataSample().set_gt_label(0).set_gt_score(score) for score in mixed]
    images = torch.randn(2, 3, 64, 64)
    losses = classifier.eval().loss(images, samples)
    logits = classifier.head(classifier.neck(classifier.backbone(images, resolution=64)))
    expected = -(mixed * logits.log_softmax(1)).sum(1).mean()
    assert losses['loss_64'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_distillation_flows_to_smaller_resolutions_only():
    from mmscale.models.classifiers import SANClassifier

    logits = {r: torch.randn(4, 5, requires_grad=True) for r in (64, 48, 32)}
    loss = SANClassifier._distillation(logits)
    loss.backward()
    assert logits[64].grad is None
    assert logits[48].grad.abs().max() > 0
    assert logits[32].grad.abs().max() > 0
    expected = 0
    for teacher, student in ((64, 48), (64, 32), (48, 32)):
        p, q = logits[teacher].softmax(1), logits[student].softmax(1)
        expected += (p * (p / q).log()).sum(1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_plain_resnet_of_another_width():
    norm_cfg = dict(type='BN', eps=0.1)
    model = build(SANResNet, depth=18, base_channels=24, norm_cfg=norm_cfg, **SMALL).eval()
    x = images(1, 3, 48, 64)
    with torch.no_grad():
        ours, theirs = model(x, resolution=64), model.plain(64)(x)
    assert model.out_channels == (24, 48, 96, 192)
    assert feature_channels('SANResNet', depth=18, base_channels=24) == model.out_channels
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-6 * a.abs().max()


def test_plain_resnet_has_torchvisions_names():
    from torchvision.models import resnet18

    plain = build(SANResNet, depth=18, **SMALL).plain(64)
    expected = {k: v.shape for k, v in resnet18().state_dict().items() if not k.startswith('fc.')}
    assert {key: value.shape for key, value in plain.state_dict().items()} == expected


@pytest.mark.parametrize(
    ('inference', 'resolution', 'scale'),
    [
        # Trained ones: their own weights and norms, whatever the mode.
        *[(mode, 192, (192, 1, 1, 0)) for mode in ('proxy', 'ideal', 'data-free')],
        # Ties go to the larger.
        *[('proxy', r, (t, i, i, 0)) for r, t, i in ((208, 224, 0), (176, 192, 1), (112, 128, 3))],
        ('proxy', 199, (192, 1, 1, 0)),
        ('proxy', 800, (224, 0, 0, 0)),
        ('proxy', 33, (96, 4, 4, 0)),
        ('ideal', 208, (208, 0, 0, 0)),
        ('ideal', 800, (800, 0, 0, 0)),
        ('data-free', 208, (208, 0, 1, 0.5)),
        ('data-free', 200, (200, 0, 1, 0.75)),
        ('data-free', 100, (100, 3, 4, 0.875)),
        ('data-free', 800, (800, 0, 0, 0)),
        ('data-free', 64, (64, 4, 4, 0)),
    ],
)
def test_scales(inference, resolution, scale):
    with torch.device('meta'):
        model = SANResNet(18, inference=inference)
    encoding, *rest = scale
    assert model.scale_of(resolution) == (encoding / 320, *rest)


@each_network
def test_order_of_the_resolutions_is_free(network, arguments):
    down = build(network, inference='data-free', **arguments).eval()
    up = build(network, inference='data-free', **dict(arguments, resolutions=(32, 48, 64)))
    last = len(SMALL['resolutions']) - 1
    state = {}
    for name, value in down.state_dict().items():
        head, dot, tail = name.partition('.norms.')
        if dot:
            number, _, leaf = tail.partition('.')
            name = f'{head}.norms.{last - int(number)}.{leaf}'
        state[name] = value
    up.load_state_dict(state)
    up.eval()
    x = images(1, 3, 56, 56)
    with torch.no_grad():
        for a, b in zip(down(x), up(x), strict=True):
            torch.testing.assert_close(a, b)


@each_network
def test_all_resolutions_train_at_once(network, arguments):
    model = build(network, **arguments).train()
    outputs = model([images(2, 3, size, size) for size in SMALL['resolutions']])
    assert [out[0].shape[-1] for out in outputs] == [16, 12, 8]
    sum(y.square().mean() for out in outputs for y in out).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@each_network
@pytest.mark.parametrize('index', [0, 1, 2])
def test_each_norm_sees_only_its_own_resolution(network, arguments, index):
    model = build(network, **arguments).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    size = SMALL['resolutions'][index]
    sum(y.mean() for y in model(images(2, 3, size, size))).backward()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            own = name.endswith(f'.norms.{index}')
            assert (module.weight.grad is not None) == own
            moved = not torch.equal(module.running_mean, before[f'{name}.running_mean'])
            assert moved == own, name


@each_network
def test_batches_at_once_are_batches_one_by_one(network, arguments):
    model = build(network, **arguments).eval()
    batches = [images(2, 3, 64, 64) for _ in SMALL['resolutions']]
    with torch.no_grad():
        at_once = model(batches)
        for batch, resolution, outputs in zip(batches, SMALL['resolutions'], at_once, strict=True):
            for a, b in zip(outputs, model(batch, resolution=resolution), strict=True):
                assert torch.equal(a, b)


def test_a_fixed_resolution_rules_over_the_images_size():
    model = build(SANResNet, depth=18, resolution=64, **SMALL).eval()
    x = images(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(x)[0], model(x, resolution=64)[0])
        assert not torch.equal(model(x)[0], model(x, resolution=32)[0])


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(resolutions=()), ['resolutions=()', '16 px']),
        (dict(resolutions=224), ['resolutions=224']),
        (dict(resolutions=(64, 64)), ['(64, 64)', 'different']),
        (dict(resolutions=(64, 15)), ['(64, 15)']),
        (dict(resolutions=(64.0,)), ['(64.0,)']),
        (dict(inference='nearest'), ["'nearest'", "'data-free'"]),
        (dict(encoding_base=0), ['encoding_base=0']),
        (dict(encoding_base='320'), ["encoding_base='320'"]),
        (dict(resolution='auto'), ["resolution='auto'"]),
        (dict(resolution=0), ['resolution=0']),
        (dict(encoding_base=float('inf')), ['encoding_base=inf']),
        (dict(depth=[50]), ['depth=[50]']),
        (dict(depth=50, groups=0), ['groups=0']),
        (dict(depth=50, base_width=4.0), ['base_width=4.0']),
        (dict(depth=50, base_width=128), ['base_width=128', 'groups=32']),
        (dict(groups=32, base_width=4), ['groups=32', 'bottleneck', '18']),
    ],
    ids=str,
)
def test_wrong_arguments(changes, words):
    with torch.device('meta'), pytest.raises(ValueError) as error:
        SANResNet(**dict(depth=18) | changes)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize('resolution', [0, -5, float('nan'), True, '48'], ids=str)
def test_wrong_resolutions(resolution):
    model = SANResNet(18, **SMALL)
    with pytest.raises(ValueError, match=f'resolution={resolution!r} must be a positive number'):
        model(torch.zeros(1, 3, 64, 64), resolution=resolution)
    with pytest.raises(ValueError, match=f'resolution={resolution!r} must be a positive number'):
        model.plain(resolution)


@pytest.mark.parametrize('norm_cfg', [dict(type='GN', num_groups=4), dict(type='BN', affine=False)])
def test_norms_that_no_plain_network_has(norm_cfg):
    model = SANResNet(18, norm_cfg=norm_cfg, inference='data-free', **SMALL)
    with pytest.raises(UserError, match='need batch norms with factors'):
        model.plain(64)
    with pytest.raises(UserError, match='need batch norms with factors'):
        model(torch.zeros(1, 3, 56, 56))


def test_wrong_number_of_batches():
    model = SANResNet(18, **SMALL)
    with pytest.raises(ValueError, match=r'2 batches do not fit resolutions=\(64, 48, 32\)'):
        model([torch.zeros(1, 3, 64, 64)] * 2)


def test_mobilenets_generators_start_small():
    model = MODELS.build(dict(type='mmscale.SANMobileNetV2', resolutions=(64,)))
    model.init_weights()
    generators = [m.generator for m in model.modules() if isinstance(m, GeneratedConv2d)]
    slopes = torch.cat([generator.weight.flatten() for generator in generators])
    assert slopes.std().item() == pytest.approx(0.01, rel=0.02)
    assert not any(generator.bias.any() for generator in generators)


def load(model, state, path, **meta):
    torch.save({'state_dict': state, 'meta': meta}, path)
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model.init_weights()


@pytest.mark.parametrize(('file', 'model'), [(34, 18), (18, 34), (101, 50)])
def test_another_depth_is_refused_by_name(file, model, tmp_path):
    state = SANResNet(file).state_dict()
    words = f'looks like SAN ResNet-{file}; this model is SAN ResNet-{model}'
    with pytest.raises(UserError, match=words):
        load(SANResNet(model), state, tmp_path / 'san.pth')
    assert checkpoints.identify(checkpoints.weights(state).state_dict).label == f'SAN ResNet-{file}'


@pytest.mark.parametrize('resolutions', [(96,), (96, 224), (96, 128, 160, 192, 224)])
def test_norms_of_the_authors_files_go_to_their_resolutions(resolutions, tmp_path):
    state = golden.state_dict('san_resnet18')
    model = SANResNet(18, resolutions=resolutions).double()
    load(model, state, tmp_path / 'san.pth')
    for resolution, norm in zip(resolutions, model.stem.norm.norms):
        number = (224, 192, 160, 128, 96).index(resolution)
        assert torch.equal(norm.weight, state[f'bn1.bn_{number}.weight'])


def test_norms_of_unknown_resolutions_are_refused(tmp_path):
    state = SANResNet(18, **SMALL).state_dict()
    path = tmp_path / 'san.pth'
    with pytest.raises(UserError, match=r'norms for 3 resolutions, the model for \[48\]'):
        load(SANResNet(18, resolutions=(48,)), state, path)
    model = SANResNet(18, resolutions=(48,))
    load(model, state, path, resolutions=[64, 48, 32])  # a file that says what it has
    assert torch.equal(model.stem.norm.norms[0].weight, state['stem.norm.norms.1.weight'])


def test_runner_puts_norms_in_the_models_order_too(tmp_path):
    state = SANResNet(18, **SMALL).state_dict()
    for number in range(3):
        state[f'stem.norm.norms.{number}.weight'] = torch.full((64,), float(number))
    torch.save({'state_dict': state, 'meta': dict(resolutions=[64, 48, 32])}, tmp_path / 'san.pth')
    content = CheckpointLoader.load_checkpoint(f'mmscale:{tmp_path}/san.pth')
    model = torch.nn.Module()
    model.backbone = SANResNet(18, resolutions=(32, 64))
    loops = dict(_train_loop=None, _test_loop=None)
    runner = SimpleNamespace(model=model, _load_from='san.pth', hooks=[], **loops)
    CheckpointFitHook(whole=True).after_load_checkpoint(runner, content)
    model.load_state_dict(content['state_dict'])
    first, second = model.backbone.stem.norm.norms
    assert (first.weight == 2).all()
    assert (second.weight == 0).all()


def test_converted_files_say_their_resolutions(tmp_path):
    path, out = tmp_path / 'san.pth', tmp_path / 'out.safetensors'
    state = golden.state_dict('san_resnet18')
    torch.save(state, path)
    tool('convert_weights')([str(path), str(out)])
    model = SANResNet(18, resolutions=(128,)).double()
    model.init_cfg = dict(type='Pretrained', checkpoint=str(out))
    model.init_weights()
    assert torch.equal(model.stem.norm.norms[0].weight, state['bn1.bn_3.weight'])


def test_a_bare_mobilenet_goes_into_its_classifier(tmp_path):
    backbone = SANMobileNetV2(out_indices=(4,))
    classifier = golden.build_classifier('san-mobilenet-v2')
    load(classifier, backbone.state_dict(), tmp_path / 'bare.pth')
    expected = backbone.stem.conv.generator.weight
    assert torch.equal(classifier.backbone.stem.conv.generator.weight, expected)
