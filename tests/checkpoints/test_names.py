"""Other programs' names: every one has its place here, and a strange one is named."""

import golden
import pytest
import torch

from mmscale.checkpoints import convert

SOURCES = {
    'rexnet_1.0_224x224': "the authors' ReXNet",
    'rexnet_lite_1.0_224x224': "the authors' ReXNet-lite",
    'timm_rexnet_100': "timm's ReXNet",
    'scalenet50_224x224': "the authors' ScaleNet",
}


def empty_state(case):
    """A state dict without memory behind it."""
    return {k: torch.empty(shape, device='meta') for k, shape in golden.shapes(case).items()}


@pytest.mark.parametrize('case', golden.CONFIGS)
def test_every_name_has_one_place(case):
    state = empty_state(case)
    converted = convert(state).state_dict
    assert len(converted) == len(state)
    with torch.device('meta'):
        model = golden.build_classifier(golden.CONFIGS[case])
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in converted.items()} == expected


@pytest.mark.parametrize(('case', 'source'), SOURCES.items())
def test_source_is_recognised(case, source):
    assert convert(empty_state(case)).source == source


@pytest.mark.parametrize('case', SOURCES)
def test_input_stays_as_it_is(case):
    state = empty_state(case)
    before = dict(state)
    convert(state)
    assert list(state) == list(before)
    assert all(state[key] is before[key] for key in before)
    assert {key: tuple(value.shape) for key, value in state.items()} == golden.shapes(case)


def test_values_are_kept():
    shapes = golden.shapes('rexnet_lite_1.0_224x224')
    state = {key: torch.full(shapes[key], float(i)) for i, key in enumerate(shapes)}
    values = [value.unique().tolist() for value in convert(state).state_dict.values()]
    assert sorted(values) == [[float(i)] for i in range(len(state))]


@pytest.mark.parametrize(
    ('case', 'key'),
    [
        *[(case, 'extra.weight') for case in SOURCES],
        # The place after the last block is the last 1x1 convolution's alone.
        ('timm_rexnet_100', 'features.17.conv.weight'),
        ('timm_rexnet_100', 'features.3.conv_exp.weight'),
        ('rexnet_1.0_224x224', 'features.21.weight'),
        ('rexnet_1.0_224x224', 'features.3.out.9.weight'),
        ('rexnet_lite_1.0_224x224', 'output.7.weight'),
        ('scalenet50_224x224', 'layer1.0.conv2.4.weight'),
        ('scalenet50_224x224', 'layer5.0.conv1.weight'),
        # Files of two programs in one.
        ('timm_rexnet_100', 'layer1.0.conv1.weight'),
        ('rexnet_1.0_224x224', 'stem.conv.weight'),
        ('scalenet50_224x224', 'features.0.weight'),
        ('scalenet50_224x224', 'conv1.module.weight'),
    ],
)
def test_strange_name_is_named(case, key):
    state = {**empty_state(case), key: torch.empty(1, device='meta')}
    with pytest.raises(ValueError) as error:
        convert(state)
    assert repr(key) in str(error.value)
    assert SOURCES[case] in str(error.value)


@pytest.mark.parametrize(
    'keys',
    [['conv1.weight', 'layer1.0.conv2.weight'], ['state_dict'], ['model.stem.conv.weight']],
    ids=['ResNet', 'wrapped', 'prefixed'],
)
def test_unknown_file_is_refused(keys):
    with pytest.raises(ValueError) as error:
        convert({key: torch.empty(1) for key in keys})
    assert all(key in str(error.value) for key in keys)
    assert all(source in str(error.value) for source in SOURCES.values())


def test_empty_file_is_refused():
    with pytest.raises(ValueError, match='expected a state dict of'):
        convert({})
