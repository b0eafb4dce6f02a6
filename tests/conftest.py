import logging
import os
import subprocess
import sys
from inspect import signature
from pathlib import Path

import exportable
import pytest
import runs
import torch
from commands import ROOT, tool
from filelock import FileLock
from mmengine.logging import MMLogger

import mmscale  # noqa: F401  (before mmcv.ops: operators stand in where none were compiled)

# Threads wait for each other by spinning: where the cores are busy, one is many times faster.
THREADS = 1 if 'PYTEST_XDIST_WORKER' in os.environ else 2
torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', THREADS)))


@pytest.fixture(scope='session', autouse=True)
def allocator():
    """Memory goes back to the system: these processes do far more than one run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmscale.engine.tuning.CDLL', object)  # which knows no C library
        yield


class Lines(list):
    """Messages of a log."""

    def with_word(self, word):
        """The only one that contains `word`."""
        found = [line for line in self if word in line]
        assert len(found) == 1, f'{len(found)} of these have {word!r}: {self}'
        return found[0]


@pytest.fixture
def log(monkeypatch):
    """The messages that mmengine's loggers were given during the test.

    Some are mmengine's own: it lists every parameter that it initialises.
    """
    lines = Lines()
    handle = MMLogger.handle

    def keep(self, record):
        if record.levelno >= logging.INFO:
            lines.append(record.getMessage())
        handle(self, record)

    monkeypatch.setattr(MMLogger, 'handle', keep)
    return lines


def once(tmp_path_factory, name, make):
    """The folder that `make(folder)` makes, once for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        base = base.parent
    done = base / f'{name}.done'
    with FileLock(base / f'{name}.lock'):
        if not done.exists():
            make(base / name)
            done.touch()
    return base / name


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A very small shapes set, one for all processes of the tests; SHAPES_ROOT points to it."""
    from mmscale.datasets.shapes import make_shapes

    def make(root):
        make_shapes(root, train=12, val=6, train_crops=32, val_crops=16)

    root = once(tmp_path_factory, 'shapes', make)
    before = os.environ.get('SHAPES_ROOT')
    os.environ['SHAPES_ROOT'] = str(root)
    yield root
    os.environ.pop('SHAPES_ROOT')
    if before is not None:
        os.environ['SHAPES_ROOT'] = before


@pytest.fixture(scope='session')
def detector_run(shapes, tmp_path_factory):
    """The work dir of a short run of a detector, with ``iter_4.pth``."""
    options = ['--cfg-options', *runs.SHORT]

    def train(work_dir):
        tool('train')([runs.DETECTOR, '--work-dir', str(work_dir), *options])

    return once(tmp_path_factory, 'detector_run', train)


@pytest.fixture(scope='session')
def classifier_run(shapes, tmp_path_factory):
    """The work dir of a short run of a classifier, with ``epoch_2.pth``."""

    def train(work_dir):
        runs.run_classifier('train', '--work-dir', work_dir)

    return once(tmp_path_factory, 'classifier_run', train)


@pytest.fixture(scope='session')
def classifier(shapes, tmp_path_factory):
    """Paths of a small classifier's config and checkpoint."""
    return exportable.built(exportable.CLASSIFIER, tmp_path_factory.mktemp('mm'), 'mmpretrain')


@pytest.fixture(scope='session')
def detector(shapes, tmp_path_factory):
    """Paths of a small detector's config and checkpoint."""

    def build(folder):
        folder.mkdir()
        exportable.built(exportable.DETECTOR, folder, 'mmdet')

    folder = once(tmp_path_factory, 'detector_model', build)
    return str(folder / 'mmdet.py'), str(folder / 'mmdet.pth')


@pytest.fixture(scope='session')
def exporter():
    """What mmscale exports with; the test is skipped where torch has none."""
    pytest.importorskip('onnxscript')
    if 'custom_translation_table' not in signature(torch.onnx.export).parameters:
        pytest.skip('this torch has no exporter that mmscale uses')


@pytest.fixture(scope='session')
def detector_files(exporter, detector, pictures, tmp_path_factory):
    """The detector as ONNX, for two images of one size, and what was compared."""
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package)
    from mmscale.export.exporting import Written, export

    def write(folder):
        folder.mkdir()
        written = export(
            *detector, folder / 'detector.onnx', shape=(224, 224), batch=2, images=pictures
        )
        folder.with_suffix('.txt').write_text(written.compared)

    folder = once(tmp_path_factory, 'detector_files', write)
    return Written(folder / 'detector.onnx', folder.with_suffix('.txt').read_text())


@pytest.fixture(scope='session')
def semantic(shapes, tmp_path_factory):
    """Semantic maps of the shapes, in ``train`` and ``val``."""
    from mmscale.semantic import make_semantic

    root = tmp_path_factory.mktemp('semantic') / 'maps'
    files = [shapes / f'annotations/instances_{split}.json' for split in ('train', 'val')]
    make_semantic(root, files, classes='categories')
    return root


@pytest.fixture(scope='session')
def segmentor(shapes, semantic, tmp_path_factory):
    """Paths of a small segmentor's config and checkpoint."""
    pytest.importorskip('mmseg')
    text = exportable.SEGMENTOR.format(shapes=shapes, maps=semantic)
    return exportable.built(text, tmp_path_factory.mktemp('mm'), 'mmseg')


@pytest.fixture(scope='session')
def pictures(shapes):
    """Three pictures."""
    return [str(path) for path in sorted((shapes / 'val').iterdir())[:3]]


@pytest.fixture(scope='session')
def coco_root():
    """The folder of real COCO images; the test is skipped where there is none."""
    root = os.environ.get('COCO_ROOT')
    if not root:
        pytest.skip('COCO_ROOT is not set')
    return Path(root)


@pytest.fixture(scope='session')
def fresh_python():
    """Runs code in a new interpreter, at the root of the checkout, and returns what it prints."""

    def run(code, *arguments):
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', code, *map(str, arguments)],
            cwd=ROOT,
            env={'OMP_NUM_THREADS': str(THREADS), **os.environ},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run
