"""Configs: what is read of them."""

import pytest
from runs import CLASSIFIER

from mmscale.engine.config import find_config, load_config
from mmscale.errors import UserError

PURE = """from mmengine.config import read_base
from mmscale import ReXNet, feature_channels
with read_base():
    from mmscale.configs.faster_rcnn_rexnet_fpn import *
"""


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ("custom_imports = dict(imports=['nowhere'])", "No module named 'nowhere' .*PYTHONPATH"),
        ('a = 1 / 0', r'line 1 \(a = 1 / 0\): ZeroDivisionError'),
        ('\na = b', r"line 2 \(a = b\): NameError: name 'b'"),
        ('raise ValueError("mine")', 'line 1 .*: mine'),
        ('a = dict(', 'never closed'),
        ("_base_ = ['none.py']", 'none.py'),
        ('raise SystemError("mine")', 'SystemError: mine'),
        ('import sys\nsys.exit(0)', r'line 2 \(sys.exit.*SystemExit'),
        # In pure Python
        (
            f'{PURE}from mmdet.models import FPNN\nmodel["neck"]["type"] = FPNN',
            'import FPNN .*line 5',
        ),
        (f'{PURE}from mmdet.necks import FPN\nmodel["neck"]["type"] = FPN', "'mmdet.necks'"),
        (f'{PURE}model["nek"]["num_outs"] = 4', r"line 5 \(model\[.*\): KeyError: 'nek'"),
        (f'{PURE}feature_channels(ReXNet, width=1)', "no argument 'width'; it takes"),
        (PURE.replace('rexnet', 'rexnett'), 'faster_rcnn_rexnett_fpn.py not found'),
        (PURE.replace('mmscale.configs', 'nowhere.configs'), 'nowhere'),
        (
            f"_base_ = '{find_config('mmscale.configs.faster_rcnn_rexnet_fpn')}'",
            'inheritance chain',
        ),
    ],
)
def test_a_config_that_ends_with_an_error_is_one_line(text, words, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(text)
    with pytest.raises(
        UserError, match=f'config .*config.py.* cannot be read: .*{words}'
    ) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 1


def test_an_error_in_an_inherited_config_names_it(tmp_path):
    (tmp_path / 'base.py').write_text('a = dict()\nb = a["c"]')
    (tmp_path / 'config.py').write_text("_base_ = 'base.py'")
    with pytest.raises(UserError, match=r'config\.py.*base\.py, line 2 \(b = a\["c"\]\): Key'):
        load_config(tmp_path / 'config.py')


@pytest.mark.parametrize(
    ('base', 'words'),
    [
        ("'shared.py'", r"line 2: there is no file '.*shared\.py' to inherit from; .*shapes\.py"),
        ("['middle.py']", r"middle\.py', line 1: there is no file '.*gone\.py' to inherit"),
        ('5', 'line 2: _base_=5: a path belongs there, or a list of paths'),
        ("['config.py']", "config.py' inherits from itself: take that out of _base_"),
        ("'mmdet::faster_rcnn/faster-rcnn_r51'", 'mmdet has none .*; close to it: faster_rcnn/fa'),
        ("'mmdett::a/b.py'", "line 2: 'mmdett::a/b.py': the package 'mmdett' is not installed"),
        ("'mmscale::faster_rcnn_rexnet_fpn.py'", 'is called PACKAGE::FOLDER/NAME.py'),
        ('name', "line 2: NameError: name 'name'"),
    ],
)
def test_a_base_that_cannot_be_inherited_is_told_with_its_line(base, words, tmp_path):
    (tmp_path / 'shapes.py').write_text('a = 1')
    (tmp_path / 'middle.py').write_text("_base_ = 'gone.py'")
    (tmp_path / 'config.py').write_text(f'a = 1\n_base_ = {base}')
    with pytest.raises(UserError, match=f'cannot be read: .*{words}') as caught:
        load_config(tmp_path / 'config.py')
    assert '\n' not in str(caught.value)


def test_few_classes_have_no_top_five():
    few = load_config(CLASSIFIER, {'model.head.num_classes': 3})
    assert few.val_evaluator.topk == (1,)
    assert load_config(CLASSIFIER).val_evaluator.topk == (1, 5)
