"""What a run on a CPU chooses by itself, and that results stay the same."""

import shutil
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from commands import tool
from mmengine.config import Config
from runs import DETECTOR, SHORT, as_overrides, log_of, run_classifier, scalars

from mmscale.deploy.native import NativeBottleneck
from mmscale.engine import tuning
from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.models import ReXNet, SANResNet

PLAIN = (
    *SHORT,
    'custom_hooks=[]',
    'default_hooks.logger.interval=1',
    'randomness.seed=0',
    'model.train_cfg.rcnn.sampler.num=5000',  # all boxes: which are drawn depends on rounding
)


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    """Without what the environment may say, and without touching this process's allocator."""
    for name in (tuning.SWITCH, *tuning.ALLOCATOR):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tuning, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(tuning, 'CDLL', Library)
    monkeypatch.setattr(Library, 'given', {})


class Library:
    """A C library that takes every option of its allocator."""

    given: dict = {}

    def __init__(self, name):
        assert name is None

    def mallopt(self, option, value):
        self.given[option] = value
        return 1


@pytest.fixture(scope='module')
def runs(shapes, tmp_path_factory):
    """Two short trainings: one that chooses, one that may not."""
    folder = tmp_path_factory.mktemp('tuned')
    for switch in ('on', 'off'):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(tuning.SWITCH, switch)
            patch.setattr(tuning, 'CDLL', Library)
            patch.setattr(tuning, 'get_device', lambda: 'cpu')
            tool('train')([DETECTOR, '--work-dir', str(folder / switch), '--cfg-options', *PLAIN])
    return folder


def test_training_says_what_it_chooses_and_gives_the_same_losses(runs):
    said = 'tuning   freed memory is kept, RoIAlign on all cores, channels-last memory'
    compiled = ', norms in C++' if shutil.which('c++') else ''
    assert f'{said}{compiled} (CPU; not with MMSCALE_TUNING=off)' in log_of(runs / 'on')
    assert 'tuning   ' not in log_of(runs / 'off')
    losses = [
        [row['loss'] for row in scalars(runs / side) if 'loss' in row] for side in ('on', 'off')
    ]
    assert len(losses[0]) == 4
    # Each step multiplies the rounding: 1e-7, 3e-5, 6e-4, 1.6e-3 with two threads.
    for *pair, limit in zip(*losses, (1e-6, 3e-4, 3e-3, 6e-3)):
        assert pair[0] == pytest.approx(pair[1], rel=limit)


def test_weights_of_either_have_the_same_names(runs):
    states = [
        torch.load(runs / side / 'iter_4.pth', weights_only=False)['state_dict']
        for side in ('on', 'off')
    ]
    assert list(states[0]) == list(states[1])


def test_the_config_stays_as_it_was_given(runs):
    for side in ('on', 'off'):
        (written,) = (runs / side).glob('*.py')
        assert 'ChannelsLastHook' not in written.read_text()


def test_a_classifier_is_tuned_too(shapes, tmp_path):
    run_classifier('train', '--work-dir', tmp_path, options=['train_cfg.max_epochs=1'])
    assert ', channels-last memory' in log_of(tmp_path)


@pytest.mark.parametrize(
    ('imports', 'tuned'),
    [
        (None, True),
        ('mmscale', True),
        (['mmscale.models.classifiers'], True),
        (['mmscale', 'my_layers'], False),
        ('mmscale_of_mine', False),
    ],
)
def test_code_of_the_users_own_may_need_the_usual_layout(imports, tuned):
    model = torch.nn.Module()
    model.backbone = ReXNet(width_mult=0.9)
    cfg = Config(dict(custom_imports=imports and dict(imports=imports)))
    hooks: list = []
    runner = SimpleNamespace(model=model, cfg=cfg, hooks=hooks, register_hook=hooks.append)
    assert ('channels-last' in tuning.tune_training(runner)) == tuned == bool(hooks)


def test_the_allocator_gets_both_options(runs):
    assert tuning.keep_memory()
    assert Library.given == {-1: 2**31 - 1, -3: 2**31 - 1}


def test_an_allocator_that_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '1000')
    assert not tuning.keep_memory()
    assert not Library.given


@pytest.mark.parametrize('error', [OSError, TypeError, AttributeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(tuning, 'CDLL', missing)
    assert not tuning.keep_memory()


def test_a_gpu_is_left_alone(monkeypatch):
    monkeypatch.setattr(tuning, 'get_device', lambda: 'cuda')
    assert not tuning.is_tuned()


def test_a_misspelt_switch(monkeypatch):
    monkeypatch.setenv(tuning.SWITCH, 'no')
    with pytest.raises(UserError, match=r"MMSCALE_TUNING='no' is unknown; choose from \('on', 'of"):
        tuning.is_tuned()


@pytest.fixture
def tested(runs, monkeypatch, tmp_path):
    """A test of six pictures, with or without a fused model: its metrics and its log."""

    def test(switch, **options):
        monkeypatch.setenv(tuning.SWITCH, switch)
        monkeypatch.setattr(tuning, 'FEW', 6)
        folder = tmp_path / switch
        metrics = evaluate(
            DETECTOR,
            str(runs / 'on/iter_4.pth'),
            work_dir=folder,
            overrides=as_overrides(PLAIN),
            out=str(folder / 'found.json'),
            **options,
        )
        metrics.pop('images_per_second', None)
        return metrics, (folder / 'found.bbox.json').read_text(), log_of(folder)

    return test


FUSED = 'on the CPU: the model is fused'


def test_a_test_is_of_the_fused_model_with_the_same_figures(tested):
    fused, plain = tested('on'), tested('off')
    assert FUSED in fused[2]
    assert FUSED not in plain[2]
    assert fused[0] == pytest.approx(plain[0], abs=1e-3)
    assert fused[1] != plain[1]  # rounding shows that another model was tested


def test_test_time_augmentation_too(tested):
    assert FUSED in tested('on', tta=True)[2]


class Model(torch.nn.Module):
    """A backbone, as detectors have one."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        return self.backbone(x)


@pytest.mark.parametrize(
    ('backbone', 'pictures', 'fused'),
    [
        (ReXNet(out_indices=(0,)), 20, True),
        (ReXNet(out_indices=(0,)), 19, False),
        (SANResNet(18, resolution=224), 20, False),
        (torch.nn.Conv2d(3, 4, 3), 20, False),
    ],
)
def test_what_is_fused(backbone, pictures, fused):
    model = Model(backbone).eval()
    assert (tuning.fused_on_cpu(model, pictures) is not model) == fused


@pytest.mark.parametrize('compiler', [True, False])
def test_cpp_is_used_where_there_is_a_compiler(compiler, monkeypatch):
    if not compiler:
        monkeypatch.setattr(tuning, 'library', mock.Mock(side_effect=UserError('no compiler')))
    elif not shutil.which('c++'):
        pytest.skip('there is no C++ compiler')
    model = Model(ReXNet(out_indices=(0,))).eval()
    fused = tuning.fused_on_cpu(model, 20)
    assert any(isinstance(m, NativeBottleneck) for m in fused.modules()) == compiler
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(fused(x)[0], model(x)[0], rtol=1e-4, atol=1e-5)
