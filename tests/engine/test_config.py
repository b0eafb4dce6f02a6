"""Configs: what is read of them."""

from runs import CLASSIFIER

from mmscale.engine.config import load_config


def test_few_classes_have_no_top_five():
    few = load_config(CLASSIFIER, {'model.head.num_classes': 3})
    assert few.val_evaluator.topk == (1,)
    assert load_config(CLASSIFIER).val_evaluator.topk == (1, 5)
