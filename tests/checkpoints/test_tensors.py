"""Names in a checkpoint: wrappers come off, a prefix chooses a part."""

import golden
import pytest
import torch
from checkpoint_files import CASE, CASES, holds, pretrained, save, small_state

from mmscale import checkpoints
from mmscale.errors import UserError

WRAPPERS = {
    'state_dict': lambda state: {'state_dict': state, 'epoch': 3},
    'model': lambda state: {'model': state, 'optimizer': {'lr': 0.1}},
    'module.': lambda state: {f'module.{key}': value for key, value in state.items()},
    'backbone.': lambda state: {f'backbone.{key}': value for key, value in state.items()},
    'all': lambda state: {
        'state_dict': {f'module.backbone.{key}': value for key, value in state.items()}
    },
    'detector': lambda state: {
        'state_dict': {
            **{f'backbone.{key}': value for key, value in state.items()},
            'neck.lateral_convs.0.conv.weight': torch.zeros(8, 8, 1, 1),
        }
    },
    'compiled': lambda state: {'net': {f'_orig_mod.{key}': v for key, v in state.items()}},
    'twice': lambda state: {'model': {f'module.model.{key}': v for key, v in state.items()}},
    'none': lambda state: {7: torch.zeros(1), **state},
}


@pytest.mark.parametrize('wrap', WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_come_off(wrap, tmp_path, log):
    model, state = small_state()
    model.init_cfg = dict(type='Pretrained', checkpoint=save(wrap(state), tmp_path / 'file.pth'))
    model.init_weights()
    assert holds(model)
    assert 'ReXNet 0.9' in log.with_word(f'matched {len(state)} of {len(state)}')


@pytest.mark.parametrize('prefix', ['module.backbone.', 'backbone.'])
def test_authors_names_may_be_wrapped_too(prefix, tmp_path, log):
    state = {f'{prefix}{key}': value for key, value in golden.state_dict(CASE).items()}
    pretrained(CASES[CASE], save(state, tmp_path / 'file.pth'))
    assert "the authors' ReXNet" in log.with_word('matched')


def test_prefix_chooses_a_part(tmp_path, log):
    model, state = small_state()
    path = save({f'teacher.{key}': value for key, value in state.items()}, tmp_path / 'file.pth')
    model.init_cfg = dict(type='Pretrained', checkpoint=path, prefix='teacher.')
    model.init_weights()
    assert holds(model)
    model, _ = small_state(init_cfg=dict(type='Pretrained', checkpoint=path, prefix='student.'))
    with pytest.raises(UserError, match=r"prefix='student\.'.*'teacher'"):
        model.init_weights()


@pytest.mark.parametrize('prefix', ['module.', 'module.backbone', 'backbone.', 'backbone'])
def test_prefix_is_of_the_names_as_they_are(prefix, tmp_path, log):
    model, state = small_state()
    wrapped = {f'module.backbone.{key}': value for key, value in state.items()}
    path = save(wrapped, tmp_path / 'file.pth')
    model.init_cfg = dict(type='Pretrained', checkpoint=path, prefix=prefix)
    model.init_weights()
    assert holds(model)


def test_files_that_hold_themselves_end(tmp_path):
    content = {}
    content['state_dict'] = content
    torch.save(content, tmp_path / 'weights.pth')
    with pytest.raises(UserError, match='holds itself'):
        checkpoints.read_weights(tmp_path / 'weights.pth')
