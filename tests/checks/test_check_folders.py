"""Class folders: what is no class, what is not read, what differs."""

import os

import numpy as np
import pytest
from PIL import Image

from mmscale.checks.findings import FAULT, NOTE
from mmscale.checks.folders import check_folder
from mmscale.checks.targets import find_in_tree
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import load_config


def make(root):
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            (root / split / name).mkdir(parents=True)
            for i in range(2):
                Image.new('RGB', (32, 32)).save(root / split / name / f'{i}.png')


def hidden(root):
    (root / 'train' / '.ipynb_checkpoints').mkdir()


def webp(root):
    for path in (root / 'train' / 'cat').iterdir():
        path.rename(path.with_suffix('.webp'))


def all_webp(root):
    for path in (root / 'train').rglob('*.png'):
        path.rename(path.with_suffix('.webp'))


def emptied(root):
    for path in (root / 'train' / 'cat').iterdir():
        path.unlink()


def all_emptied(root):
    for path in (root / 'val').rglob('*.png'):
        path.unlink()


def renamed(root):
    (root / 'val' / 'dog').rename(root / 'val' / 'dogs')


def broken(root):
    (root / 'val' / 'dog' / '0.png').write_text('<html>')


def pipe(root):
    os.mkfifo(root / 'val' / 'dog' / 'x.png')


def readme(root):
    (root / 'val' / 'dog' / 'readme.txt').write_text('dogs')


KINDS = {
    'folder-hidden': hidden,
    'folder-unreadable-suffix': webp,
    'folder-empty': emptied,
    'folder-no-images': all_emptied,
    'folders-differ': renamed,
    'picture-none': broken,
    'picture-no-file': pipe,
    'files-passed-over': readme,
}


@pytest.mark.parametrize(('kind', 'change'), KINDS.items(), ids=KINDS)
def test_each_kind_is_named(tmp_path, kind, change):
    make(tmp_path)
    change(tmp_path)
    assert [finding.kind for finding in find_in_tree(tmp_path)] == [kind]


def test_a_remedy_can_be_pasted(tmp_path):
    root = tmp_path / 'my data'
    make(root)
    (root / 'train/.h; touch x #').mkdir()
    (found,) = find_in_tree(root)
    assert found.remedy == f"move them out of it: '{root}/train/.h; touch x #'"


def test_only_suffixes_that_nothing_reads(tmp_path):
    make(tmp_path)
    all_webp(tmp_path)
    (found,) = find_in_tree(tmp_path)
    assert found.severity == FAULT
    assert '.webp' in str(found)


def test_clean_folders_have_none(tmp_path):
    make(tmp_path)
    assert list(find_in_tree(tmp_path, deep=True)) == []
    assert list(find_in_tree(tmp_path / 'train')) == []


def test_folders_that_are_no_class_folders(tmp_path):
    assert [found.kind for found in check_folder(tmp_path / 'none')] == ['folder-missing']
    Image.new('RGB', (32, 32)).save(tmp_path / '0.png')
    assert [found.kind for found in check_folder(tmp_path)] == ['folder-no-classes']


def test_a_folder_of_neither_layout(tmp_path):
    assert find_in_tree(tmp_path) is None


CIFAR_10 = (
    'airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck',
)  # fmt: skip


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_class_folders_of_cifar_10_have_none(tmp_path, monkeypatch, suffix):
    """train/ and test/, ten classes, pictures of 32 pixels numbered in each class."""
    rng = np.random.default_rng(0)
    for part, count in (('train', 5), ('test', 2)):
        for name in CIFAR_10:
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i:04}{suffix}')
    assert list(find_in_tree(tmp_path, deep=True)) == []
    monkeypatch.setenv('CIFAR_ROOT', str(tmp_path))
    for name in ('rexnet-090', 'scalenet-14', 'san-resnet-18-half'):
        cfg = load_config(f'cifar10/{name}_cifar10')
        found = find_in_run(cfg, ('train', 'val', 'test'), deep=True, every=True)
        assert [f for f in found if f.severity != NOTE] == []


def test_files_are_passed_over_beside_an_empty_folder_too(tmp_path):
    for name in ('a', 'b', 'c'):
        (tmp_path / name).mkdir()
    for name in ('a', 'b'):
        Image.new('RGB', (64, 48)).save(tmp_path / name / '1.png')
    (tmp_path / 'a/2.heic').write_bytes(b'x')
    kinds = {finding.kind for finding in check_folder(tmp_path)}
    assert kinds == {'folder-empty', 'files-passed-over'}
