"""A checkpoint is compared with the model: what fits is loaded, what does not is named."""

import golden
import pytest
import torch
from checkpoint_files import CASE, CASES, check_golden, holds, pretrained, save, small_state
from mmengine.registry import MODELS

from mmscale import checkpoints
from mmscale.errors import UserError


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize(('case', 'config'), CASES.items(), ids=CASES)
def test_every_source_loads_through_init_cfg(case, config, suffix, tmp_path, log):
    path = save(golden.state_dict(case), tmp_path / f'weights{suffix}')
    model = pretrained(config, path)
    with torch.no_grad():
        check_golden(case, features=model(golden.Golden(case).image))
    total = len(model.state_dict())
    line = log.with_word(f'matched {total} of {total}')
    assert all(word in line for word in (model.variant, path, 'head (')), line


@pytest.mark.parametrize('case', CASES)
def test_classifier_takes_the_source_as_it_is(case, tmp_path, log):
    classifier = golden.build_classifier(golden.CONFIGS[case]).double()
    path = save(golden.state_dict(case), tmp_path / 'weights.pth')
    classifier.init_cfg = dict(type='Pretrained', checkpoint=path)
    classifier.init_weights()
    with torch.no_grad():
        features = classifier.eval().backbone(golden.Golden(case).image)
        check_golden(case, logits=classifier.head(classifier.neck(features)))
    total = len(classifier.state_dict())
    assert 'ImageClassifier' in log.with_word(f'matched {total} of {total}')


@pytest.mark.parametrize('dtype', [torch.bool, torch.int64, torch.complex64])
def test_numbers_of_another_kind_are_refused(dtype, tmp_path):
    model, state = small_state()
    state['stem.conv.weight'] = state['stem.conv.weight'].to(dtype)
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'file.pth'))
    with pytest.raises(UserError, match=f'stem.conv.weight is {dtype} .*torch.float'):
        model.init_weights()


def test_nothing_matched_is_an_error():
    student = torch.nn.ModuleDict({'student': torch.nn.Linear(2, 2)})
    state = student.state_dict()
    with pytest.raises(UserError, match=r"'backbone\.'"):
        checkpoints.require_fit(student, state, 'file.pth', required='backbone.')


def test_what_is_left_out_is_logged(tmp_path, log):
    whole, state = small_state(out_indices=(4,))
    model, _ = small_state(out_indices=(0, 1))
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'file.pth'))
    model.init_weights()
    line = log.with_word('left out')
    for stage in (2, 3, 4):
        count = sum(key.startswith(f'stages.{stage}.') for key in state)
        assert f'stages.{stage} ({count})' in line


def test_another_number_of_classes_keeps_the_initial_head(tmp_path, log):
    path = save(golden.state_dict(CASE), tmp_path / 'weights.pth')
    classifier = golden.build_classifier('rexnet-100', num_classes=10)
    before = {key: value.clone() for key, value in classifier.head.state_dict().items()}
    classifier.init_cfg = dict(type='Pretrained', checkpoint=path)
    classifier.init_weights()
    after = classifier.head.state_dict()
    assert after['fc.weight'].shape == before['fc.weight'].shape == (10, 1280)
    line = log.with_word('keep their initial values')
    assert all(word in line for word in ('head.fc.weight', '(1000, 1280)', '(10, 1280)')), line


def test_counters_of_batches_are_optional(tmp_path, log):
    model, state = small_state()
    kept = {key: v for key, v in state.items() if not key.endswith('num_batches_tracked')}
    model.init_cfg = dict(type='Pretrained', checkpoint=save(kept, tmp_path / 'old.pth'))
    model.init_weights()
    assert holds(model)


@pytest.mark.parametrize('case', CASES)
def test_half_precision_loads(case, tmp_path):
    state = {
        k: v.half() if v.is_floating_point() else v for k, v in golden.state_dict(case).items()
    }
    model = MODELS.build(CASES[case])
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'half.pth'))
    model.init_weights()
    assert {value.dtype for value in model.parameters()} == {torch.float32}
