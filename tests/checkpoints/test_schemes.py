"""Checkpoints that mmengine reads through this package are as safe as its own reading."""

import threading

import pytest
import torch
from checkpoint_files import file_of, small_state
from mmengine.runner import CheckpointLoader

from mmscale import checkpoints
from mmscale.checkpoints import is_trusted, reading, schemes, trusting
from mmscale.errors import UserError


@pytest.mark.parametrize('kind', ['code', 'getattr', 'HTML', 'empty', 'missing'])
def test_runner_refuses_them_too(kind, tmp_path):
    path = file_of(kind, tmp_path)
    with pytest.raises(UserError) as error:
        schemes.load_from_mmscale(f'{checkpoints.SCHEME}{path}')
    assert str(path) in str(error.value)
    assert not (tmp_path / 'ran').exists()


def test_checkpoints_of_mmengine_are_safe(tmp_path):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance('weights')
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('epoch', 3)
    path = tmp_path / 'epoch_3.pth'
    content = {
        'state_dict': small_state()[1],
        'message_hub': hub.state_dict(),
        'optimizer': {'state': {0: {'step': torch.tensor(3.0)}}},
        'meta': {'config': 'x = 1', 'epoch': 3},
    }
    torch.save(content, path)
    read = reading.read_file(path)
    assert read['message_hub']['log_scalars']['train/loss'].current() == 0.5
    assert read['meta'] == content['meta']
    # As mmengine resumes it: it would run the quoted config.
    assert schemes.load_from_mmscale(f'mmscale:{path}')['meta'] == {'epoch': 3}


# Trust


def test_trust_is_in_force_inside_the_block_only():
    assert not is_trusted()
    with trusting():
        assert is_trusted()
    assert not is_trusted()


@pytest.mark.parametrize('outer', [False, True])
@pytest.mark.parametrize('inner', [False, True])
def test_blocks_of_trust_nest(outer, inner):
    with trusting(outer):
        with trusting(inner):
            assert is_trusted() is inner
        assert is_trusted() is outer
    assert not is_trusted()


def test_trust_ends_with_an_exception():
    with pytest.raises(KeyError), trusting():
        raise KeyError
    assert not is_trusted()


def test_trust_is_of_one_thread():
    seen = []
    with trusting():
        thread = threading.Thread(target=lambda: seen.append(is_trusted()))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize('trust', [False, True])
def test_trust_reaches_what_mmengine_reads(trust, tmp_path):
    path = file_of('code', tmp_path)
    name = f'{checkpoints.SCHEME}{path}'
    if trust:
        with trusting():
            state = CheckpointLoader.load_checkpoint(name)['state_dict']
        assert 'backbone.stem.conv.weight' in state
    else:
        with pytest.raises(UserError, match='may run code'), trusting(False):
            CheckpointLoader.load_checkpoint(name)
    assert (tmp_path / 'ran').exists() is trust
