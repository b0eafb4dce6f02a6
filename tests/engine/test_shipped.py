"""The package's configs: listed, and copied to be edited wherever they lie."""

import pytest
from commands import tool
from mmengine.config import Config

from mmscale.engine.config import FOLDER, load_config
from mmscale.engine.shipped import copy_config, shipped_configs
from mmscale.errors import UserError


def test_every_config_is_listed_with_what_it_is():
    found = list(shipped_configs())
    text = [path for path in FOLDER.rglob('*.py') if '_base_' not in path.parts]
    pure = [config.name for config in found if config.name.startswith('mmscale.configs.')]
    assert len(found) == len(text) + len(pure)
    assert len(pure) == 4
    assert all(config.title for config in found if '/' not in config.name)


def test_a_word_finds_names_and_titles(capsys):
    names = [config.name for config in shipped_configs('CASCADE')]
    assert names
    assert all('cascade' in name for name in names)
    tool('configs')(['template'])
    assert 'own_dataset' in capsys.readouterr().out
    tool('configs')(['in pure python'])
    assert capsys.readouterr().out.count('mmscale.configs.') == 4
    tool('configs')(['upernet'])
    assert '…' not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no config has 'zzz'"):
        tool('configs')(['zzz'])


@pytest.mark.parametrize(
    'name',
    [
        'own_dataset',
        'faster_rcnn_rexnet_fpn',
        'mmscale.configs.faster_rcnn_rexnet_fpn',
        'cifar10/san-resnet-18-half_cifar10',
        'own_classes',
    ],
)
def test_a_copy_is_the_config_itself(tmp_path, name):
    out = copy_config(name, tmp_path / 'mine.py')
    assert load_config(out).pretty_text == load_config(name).pretty_text
    assert Config.fromfile(out).filename == str(out)


def test_a_copy_is_not_written_over(tmp_path):
    out = tmp_path / 'mine.py'
    out.write_text('mine = 1\n')
    with pytest.raises(UserError, match='--force'):
        copy_config('own_dataset', out)
    assert out.read_text() == 'mine = 1\n'
    copy_config('own_dataset', out, force=True)
    assert '_base_' in out.read_text()


def test_only_the_packages_own_are_copied(tmp_path):
    other = tmp_path / 'other.py'
    other.write_text('x = 1\n')
    with pytest.raises(UserError, match='no config of this package'):
        copy_config(str(other), tmp_path / 'mine.py')
