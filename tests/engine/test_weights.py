"""Which checkpoints a run reads: safely, and only those that fit."""

import pytest
import torch
from checkpoint_files import malicious
from commands import tool
from runs import DETECTOR, SHORT, changed, train_briefly


def other_classes(checkpoint):
    for name in ('fc_cls.weight', 'fc_cls.bias'):
        value = checkpoint['state_dict'][f'roi_head.bbox_head.{name}']
        checkpoint['state_dict'][f'roi_head.bbox_head.{name}'] = value[:-1]


def test_checkpoint_of_other_classes_is_no_test(detector_run, tmp_path):
    path = changed(detector_run, tmp_path / 'other.pth', other_classes)
    with pytest.raises(SystemExit) as error:
        tool('test')([DETECTOR, str(path), '--work-dir', str(tmp_path), '--cfg-options', *SHORT])
    assert str(path) in str(error.value)
    words = ('roi_head.bbox_head.fc_cls.weight', '(8, 256)', '(9, 256)')
    assert all(word in str(error.value) for word in words), str(error.value)


def test_checkpoint_of_other_classes_is_a_start(detector_run, tmp_path, capfd):
    path = changed(detector_run, tmp_path / 'other.pth', other_classes)
    train_briefly(tmp_path / 'run', options=[f'load_from={path}'])
    assert (tmp_path / 'run/iter_1.pth').is_file()
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'matched 465 of 467' in log
    assert str(path) in log
    assert '2 tensors keep their initial values: roi_head.bbox_head.fc_cls.weight' in log


def test_backbone_of_another_width_is_no_start(detector_run, tmp_path):
    with pytest.raises(SystemExit, match='ReXNet 1.0.*FasterRCNN with ReXNet 0.9'):
        train_briefly(
            tmp_path / 'run',
            options=[
                f'load_from={detector_run / "iter_4.pth"}',
                'model.backbone.width_mult=0.9',
                'model.neck.in_channels=[36,56,117,168]',
            ],
        )


@pytest.mark.parametrize('trust', [False, True])
@pytest.mark.parametrize('kind', ['resume', "config's resume", 'backbone', 'test'])
def test_checkpoints_that_run_code_want_trust(detector_run, tmp_path, kind, trust):
    ran = tmp_path / 'ran'
    path = changed(detector_run, tmp_path / 'code.pth', lambda c: c.update(extra=malicious(ran)))
    flags = ['--trust-checkpoint'] if trust else []
    command = [DETECTOR, '--work-dir', str(tmp_path / 'run'), *flags]
    options = ['--cfg-options', *SHORT, 'train_cfg.max_iters=5']
    if kind == 'resume':
        start = [*command, '--resume', str(path), *options]
    elif kind == "config's resume":
        start = [*command, *options, 'resume=True', f'load_from={path}']
    elif kind == 'backbone':
        init_cfg = [
            f'model.backbone.init_cfg.{k}' for k in ('type=Pretrained', f'checkpoint={path}')
        ]
        start = [*command, *options, *init_cfg, 'train_cfg.max_iters=1']
    else:
        start = [*command[:1], str(path), *command[1:], *options]
    run = tool('test' if kind == 'test' else 'train')
    if trust:
        run(start)
    else:
        with pytest.raises(SystemExit, match='may run code.*--trust-checkpoint'):
            run(start)
    assert ran.exists() == trust


PLACES = ('model', 'model.neck', 'model.roi_head.bbox_head')


@pytest.mark.parametrize('place', PLACES)
def test_weights_of_any_part_are_read_safely(detector_run, tmp_path, place):
    ran = tmp_path / 'ran'
    path = changed(detector_run, tmp_path / 'code.pth', lambda c: c.update(extra=malicious(ran)))
    init_cfg = f'{place}.init_cfg'
    options = [f'{init_cfg}.type=Pretrained', f'{init_cfg}.checkpoint={path}']
    with pytest.raises(SystemExit, match='may run code'):
        train_briefly(tmp_path / 'run', options=options)
    assert not ran.exists()


def test_weights_of_a_whole_detector_have_to_fit(detector_run, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save({'state_dict': {'encoder.weight': torch.zeros(2)}}, path)
    options = ['model.init_cfg.type=Pretrained', f'model.init_cfg.checkpoint={path}']
    with pytest.raises(SystemExit, match='matched 0 of 467'):
        train_briefly(tmp_path / 'run', options=options)


@pytest.mark.parametrize('checkpoint', ['x://weights.pth', 'openmmlab://weights'])
def test_no_scheme_leads_around_the_checks(shapes, detector_run, tmp_path, monkeypatch, checkpoint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x:').mkdir()
    ran = tmp_path / 'ran'
    changed(detector_run, tmp_path / 'x:/weights.pth', lambda c: c.update(extra=malicious(ran)))
    with pytest.raises(SystemExit, match='may run code|would be read by mmengine'):
        tool('test')([DETECTOR, checkpoint, '--cfg-options', *SHORT])
    assert not ran.exists()


STRANGE_RUNS = {
    'mask': (
        lambda c: c['state_dict'].update({'roi_head.mask_head.convs.0.bias': torch.zeros(1)}),
        'mask_head.convs.0.bias is not in the model',
    ),
    'optimizer': (lambda c: c.update(optimizer={}), r"lacks \['optimizer'\]"),
    'hub': (lambda c: c.update(message_hub={}), r"lacks \['message_hub'\]"),
    'seed': (lambda c: c['meta'].update(seed='abc'), 'meta.seed as a number'),
}


@pytest.mark.parametrize(('change', 'words'), STRANGE_RUNS.values(), ids=STRANGE_RUNS)
def test_strange_runs_are_not_resumed(detector_run, tmp_path, change, words):
    path = changed(detector_run, tmp_path / 'strange.pth', change)
    with pytest.raises(SystemExit, match=words):
        train_briefly(tmp_path / 'run', '--resume', path)


@pytest.mark.parametrize('part', ['optimizer', 'message_hub', 'meta'])
def test_weights_alone_are_no_run_to_resume(detector_run, tmp_path, part):
    path = changed(detector_run, tmp_path / 'part.pth', lambda c: c.pop(part))
    with pytest.raises(SystemExit, match=f'part.pth .*lacks .*{part}'):
        train_briefly(tmp_path / 'run', '--resume', path)
    assert not (tmp_path / 'run').exists()


def test_quoted_config_is_not_run(detector_run, tmp_path):
    ran = tmp_path / 'ran'
    code = f"open({str(ran)!r}, 'w')"
    path = changed(detector_run, tmp_path / 'code.pth', lambda c: c['meta'].update(config=code))
    train_briefly(tmp_path / 'run', '--resume', path, options=['train_cfg.max_iters=5'])
    assert (tmp_path / 'run/iter_5.pth').is_file()
    assert not ran.exists()
