"""The networks are the authors': outputs of their programs for weights made from names."""

import copy
from functools import lru_cache

import golden
import pytest
import torch
from mmengine.registry import MODELS

from mmscale import checkpoints

TRAIN_CASE = 'scalenet50_light_train_224x224'
TAPS = ('stride4', 'stride8', 'stride16', 'stride32')
PRECISIONS = pytest.mark.parametrize(
    ('dtype', 'tolerance'),
    [(torch.float64, 1e-9), (torch.float32, 1e-5)],
    ids=['float64', 'float32'],
)


@lru_cache(maxsize=1)
def load(config, shapes):
    """The classifier in float64, its backbone returning every tap, loaded as a user would."""
    state = {key: golden.tensor(key, shape) for key, shape in shapes}
    converted = checkpoints.convert(state).state_dict
    last = 3 if config.startswith('scalenet') else 4
    classifier = golden.build_classifier(config, out_indices=tuple(range(last + 1)))
    classifier.double().load_state_dict(converted, strict=True)  # double first: a load rounds
    return classifier.eval()


@PRECISIONS
@pytest.mark.parametrize('case', [case for case in golden.CONFIGS if case != TRAIN_CASE])
def test_outputs_are_the_references(case, dtype, tolerance):
    reference = golden.Golden(case)
    classifier = load(golden.CONFIGS[case], tuple(golden.shapes(case).items()))
    if dtype != torch.float64:
        classifier = copy.deepcopy(classifier).to(dtype)
    with torch.no_grad():
        features = classifier.backbone(reference.image.to(dtype))
        outputs = dict(zip(TAPS, features, strict=False))
        outputs['logits'] = classifier.head(classifier.neck(features))
    assert sorted(reference.names) == sorted(outputs)
    errors = {name: reference.error(name, output) for name, output in outputs.items()}
    assert max(errors.values()) <= tolerance, errors


def train_once(dtype):
    """Outputs, and the state afterwards, of one forward pass in training mode."""
    state = golden.state_dict(TRAIN_CASE)
    converted = checkpoints.convert(state).state_dict
    backbone = MODELS.build(dict(type='mmscale.ScaleNet', structure='scalenet50_light')).double()
    part = {k.removeprefix('backbone.'): v for k, v in converted.items() if k[:4] == 'back'}
    backbone.load_state_dict(part, strict=True)
    backbone.to(dtype).train()
    with torch.no_grad():
        outputs = dict(zip(TAPS, backbone(golden.Golden(TRAIN_CASE).image.to(dtype)), strict=True))
    ours = {key: name.removeprefix('backbone.') for key, name in zip(state, converted, strict=True)}
    after = backbone.state_dict()
    return outputs, {key: after[name] for key, name in ours.items() if name in after}


def test_training_pass_is_the_references():
    reference = golden.Golden(TRAIN_CASE)
    outputs, after = train_once(torch.float64)
    outputs.update({f'after:{key}': value for key, value in after.items()})
    errors = {name: reference.error(name, outputs[name]) for name in reference.names}
    assert sum(name.startswith('after:') for name in errors) > 0
    assert max(errors.values()) <= 1e-9, errors


def test_training_pass_in_float32():
    # The later strides are ill-conditioned in this case, whoever computes them: batch statistics of
    # few values amplify rounding about 1e5 times by stride 32 (3e-3 here, 2e-11 in float64).
    reference = golden.Golden(TRAIN_CASE)
    outputs, _ = train_once(torch.float32)
    errors = {name: reference.error(name, outputs[name]) for name in ('stride4', 'stride8')}
    assert max(errors.values()) <= 1e-5, errors
