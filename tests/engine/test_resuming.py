"""Which checkpoint a run goes on from, and which are refused."""

import math
import os
import random
import shutil

import pytest
import torch
import toy_runs

from mmscale.checkpoints import damage_of, require_finite
from mmscale.engine.resuming import check_pointer, newest_checkpoint
from mmscale.engine.training import train
from mmscale.errors import UserError


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'toy.py'
    path.write_text(toy_runs.BY_EPOCH)
    return path


@pytest.fixture(scope='module')
def trained(config, tmp_path_factory):
    """A run of two of four epochs, with a checkpoint of each."""
    work_dir = tmp_path_factory.mktemp('runs') / 'run'
    keep = {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.max_keep_ckpts': 9}
    train(config, work_dir=work_dir, overrides=keep)
    return work_dir


def iteration(path):
    return torch.load(path, weights_only=False)['meta']['iter']


def cut(data, rng):
    return data[: rng.randrange(1, len(data))]


DAMAGES = {
    'empty': lambda data, rng: b'',
    'zeros': lambda data, rng: bytes(len(data)),
    'cut': cut,
    'end in zeros': lambda data, rng: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    'text': lambda data, rng: b'PK' + b'x' * 100,
}


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(damage, trained, tmp_path, log):
    run = shutil.copytree(trained, tmp_path / 'run')
    newest = run / 'epoch_2.pth'
    newest.write_bytes(damage(newest.read_bytes(), random.Random(0)))
    assert newest_checkpoint(run) == str(run / 'epoch_1.pth')
    assert any(str(newest) in line and 'passed over' in line for line in log)
    (run / 'epoch_1.pth').unlink()
    with pytest.raises(UserError, match='no checkpoint in .* is whole'):
        newest_checkpoint(run)


def test_every_flipped_bit_of_a_tensor_is_seen(tmp_path):
    torch.save({'state_dict': {'a': torch.randn(500)}}, tmp_path / 'a.pth')
    data = (tmp_path / 'a.pth').read_bytes()
    assert damage_of(tmp_path / 'a.pth') is None
    begin = data.index(torch.load(tmp_path / 'a.pth')['state_dict']['a'].numpy().tobytes())
    rng = random.Random(0)
    for _ in range(200):
        at = begin + rng.randrange(2000)
        changed = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        (tmp_path / 'b.pth').write_bytes(changed)
        assert 'CRC-32' in damage_of(tmp_path / 'b.pth')


def test_cut_anywhere_it_is_damaged(trained, tmp_path):
    data, rng = (trained / 'epoch_1.pth').read_bytes(), random.Random(0)
    for _ in range(100):
        (tmp_path / 'cut.pth').write_bytes(cut(data, rng))
        assert damage_of(tmp_path / 'cut.pth')


def test_checksums_that_were_not_written_are_not_missed(tmp_path):
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('this torch always writes them')
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({'a': torch.randn(5)}, tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert damage_of(tmp_path / 'a.pth') is None


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (b'/elsewhere/epoch_1.pth', 'epoch_1.pth'),  # copied or moved: the own file of that name
        (b'C:\\runs\\epoch_1.pth\r\n', 'epoch_1.pth'),
        (b'https://x.org/stranger.pth', 'epoch_2.pth'),
        (b'../other/best.pth', 'epoch_2.pth'),
        (b'', 'epoch_2.pth'),
        (b'\xff\xfe\x00', 'epoch_2.pth'),
        (b'x' * 100000, 'epoch_2.pth'),
        (b'epoch_9.pth', 'epoch_2.pth'),
        (b'\0.pth', 'epoch_2.pth'),
        (b'/etc/passwd', 'epoch_2.pth'),
    ],
)
def test_only_files_of_the_folder_are_taken(text, expected, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / 'run')
    (run / 'last_checkpoint').write_bytes(text)
    assert newest_checkpoint(run) == str(run / expected)


def test_a_folder_in_the_place_of_the_name(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / 'run')
    (run / 'last_checkpoint').unlink()
    (run / 'last_checkpoint').mkdir()
    assert newest_checkpoint(run) == str(run / 'epoch_2.pth')


def test_numbers_decide_and_not_the_time(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / 'run')
    (run / 'last_checkpoint').unlink()
    for age, name in enumerate(('epoch_2.pth', 'epoch_1.pth')):
        os.utime(run / name, (age, age))
    shutil.copyfile(trained / 'epoch_1.pth', run / 'iter_5.pth')
    assert newest_checkpoint(run) == str(run / 'epoch_2.pth')
    content = torch.load(run / 'epoch_2.pth', weights_only=False)
    content['meta']['iter'] = 12
    torch.save(content, run / 'iter_12.pth')
    assert newest_checkpoint(run) == str(run / 'iter_12.pth')
    # A checkpoint with a larger number than the run's last one is of an earlier run.
    (run / 'last_checkpoint').write_text('epoch_2.pth')
    shutil.copyfile(trained / 'epoch_2.pth', run / 'epoch_9.pth')
    (run / 'epoch_2.pth').write_bytes(b'')
    (run / 'iter_12.pth').unlink()
    (run / 'iter_5.pth').unlink()
    assert newest_checkpoint(run) == str(run / 'epoch_1.pth')


def test_resuming_where_nothing_is_says_so(config, tmp_path, log):
    train(config, work_dir=tmp_path / 'a', resume='auto', overrides={'train_cfg.max_epochs': 1})
    assert any("a' is missing: the run starts from scratch" in line for line in log)
    assert newest_checkpoint(tmp_path) is None


def test_resuming_where_nothing_is_loads_what_the_config_names(config, trained, tmp_path, log):
    overrides = {'load_from': str(trained / 'epoch_2.pth'), 'train_cfg.max_epochs': 1}
    overrides['optim_wrapper.optimizer.lr'] = 0.0
    runner = train(config, work_dir=tmp_path, resume='auto', overrides=overrides)
    assert any('holds no checkpoint: the run starts from the weights of' in line for line in log)
    expected = torch.load(trained / 'epoch_2.pth', weights_only=False)['state_dict']
    torch.testing.assert_close(runner.model.last.weight.data, expected['last.weight'])
    assert runner.iter == 5


def test_a_copy_leaves_the_original_alone(config, trained, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in trained.glob('*.pth')}
    copy = shutil.copytree(trained, tmp_path / 'copy')
    runner = train(config, work_dir=copy, resume='auto')
    assert runner.iter == 20
    assert {path.name: path.stat().st_mtime_ns for path in trained.glob('*.pth')} == before
    assert len(list(copy.glob('best_*.pth'))) == 1
    # All of them in the checkpoint that is kept: max_keep_ckpts is 1 now.
    assert [path.name for path in copy.glob('epoch_*.pth')] == ['epoch_4.pth']


def test_another_batch_is_said(config, trained, tmp_path, log):
    run = shutil.copytree(trained, tmp_path / 'run')
    options = {'train_dataloader.batch_size': 5}
    assert train(config, work_dir=run, resume='auto', overrides=options).iter == 4 * 2
    said = [line for line in log if 'another batch than that of the checkpoint' in line]
    assert len(said) == 1
    assert 'batch_size 2 -> 5' in said[0]
    assert 'learning rate stays' in said[0]
    assert 'iteration 4 instead of 10' in said[0]


@pytest.mark.parametrize('scale', ['inf', 'nan'])
def test_a_loss_that_is_not_finite_ends_the_run(scale, config, tmp_path):
    options = {'model.scale': float(scale)}
    with pytest.raises(UserError, match=rf'loss is {scale} at iteration 1, .*lr 0\.0001'):
        train(config, work_dir=tmp_path, overrides=options)
    assert not list(tmp_path.glob('*.pth'))


def test_weights_that_are_not_finite_are_not_saved(config, tmp_path):
    # The loss of the last iteration of the epoch is finite, its step is not.
    options = {'optim_wrapper.optimizer.lr': 1e38, 'param_scheduler': None}
    options |= {'optim_wrapper.accumulative_counts': 5}
    with pytest.raises(UserError, match=r'the checkpoint is not written: .* not finite'):
        train(config, work_dir=tmp_path, overrides=options)
    assert not list(tmp_path.glob('*.pth'))


def test_weights_that_are_not_finite_are_not_resumed(config, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / 'run')
    content = torch.load(run / 'epoch_2.pth', weights_only=False)
    content['state_dict']['backbone.1.weight'][3] = math.nan
    torch.save(content, run / 'epoch_2.pth')
    with pytest.raises(
        UserError, match=r'epoch_2.pth: backbone.1.weight holds values .* not finite'
    ):
        train(config, work_dir=run, resume='auto')


def test_the_first_tensor_that_is_not_finite_is_named():
    state = {'count': torch.tensor(3), 'a': torch.ones(2), 'b': torch.tensor([1, math.inf])}
    with pytest.raises(UserError, match='file.pth: b holds'):
        require_finite(state, 'file.pth')
    require_finite({'a': torch.ones(2, dtype=torch.bfloat16)}, 'file.pth')


@pytest.mark.parametrize('make', [os.mkdir, os.mkfifo])
def test_a_last_checkpoint_that_is_no_file(make, config, trained, tmp_path):
    """It is not waited for, and a run does not begin where it cannot write the name down."""
    run = shutil.copytree(trained, tmp_path / 'run')
    (run / 'last_checkpoint').unlink()
    make(run / 'last_checkpoint')
    assert newest_checkpoint(run) == str(run / 'epoch_2.pth')
    with pytest.raises(UserError, match='last_checkpoint. is a (folder|pipe), .* remove it'):
        train(config, work_dir=run, resume='auto')
    (run / 'last_checkpoint').rename(run / 'moved')
    check_pointer(run)
