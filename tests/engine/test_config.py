"""Configs: what is read of them."""

import pytest
from runs import CLASSIFIER

from mmscale.engine.config import load_config
from mmscale.errors import UserError


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ("custom_imports = dict(imports=['nowhere'])", "No module named 'nowhere' .*PYTHONPATH"),
        ('a = 1 / 0', 'ZeroDivisionError'),
        ('a = b', "NameError: name 'b'"),
        ('a = dict(', 'never closed'),
        ("_base_ = ['none.py']", 'none.py'),
        ('raise SystemError("mine")', 'SystemError: mine'),
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


def test_few_classes_have_no_top_five():
    few = load_config(CLASSIFIER, {'model.head.num_classes': 3})
    assert few.val_evaluator.topk == (1,)
    assert load_config(CLASSIFIER).val_evaluator.topk == (1, 5)
