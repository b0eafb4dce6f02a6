"""Checkpoints that mmengine reads through this package are as safe as its own reading."""

import pytest
import torch
from checkpoint_files import file_of, small_state

from mmscale import checkpoints
from mmscale.checkpoints import reading, schemes
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
