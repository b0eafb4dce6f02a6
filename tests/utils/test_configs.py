"""Data sets inside others: which of them have a pipeline, and which one an inference takes."""

import pytest
from mmengine.config import Config

from mmscale.errors import UserError
from mmscale.utils.configs import sets_with_pipeline
from mmscale.utils.configs import test_set as set_of

STEPS = [dict(type='Load', scale=32)]
PLAIN = dict(type='CocoDataset', pipeline=STEPS)
BARE = dict(type='CocoDataset')


@pytest.mark.parametrize(
    ('dataset', 'count'),
    [
        (PLAIN, 1),
        (dict(type='RepeatDataset', dataset=PLAIN), 1),
        (dict(type='ClassBalancedDataset', dataset=dict(type='RepeatDataset', dataset=PLAIN)), 1),
        (dict(type='ConcatDataset', datasets=[PLAIN, PLAIN]), 2),
        (dict(type='ConcatDataset', datasets=(BARE, PLAIN)), 1),
        (dict(type='ConcatDataset', datasets=[dict(dataset=PLAIN), dict(datasets=[PLAIN])]), 2),
        (dict(type='MultiImageMixDataset', dataset=PLAIN, pipeline=STEPS), 2),
        (BARE, 0),
        (dict(BARE, pipeline=None), 0),
        (dict(type='ConcatDataset', datasets=[]), 0),
        (dict(type='ConcatDataset', datasets=None), 0),
        (dict(type='RepeatDataset', dataset=None), 0),
        (None, 0),
        ('CocoDataset', 0),
        ([PLAIN], 0),
    ],
)
def test_sets_inside_others(dataset, count):
    assert len(list(sets_with_pipeline(dataset))) == count
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    if count:
        assert set_of(cfg).pipeline == STEPS
    else:
        with pytest.raises(UserError, match='test_dataloader.dataset=.* has no pipeline'):
            set_of(cfg)


@pytest.mark.parametrize('cfg', [{}, dict(test_dataloader=None), dict(test_dataloader={})])
def test_configs_without_a_set(cfg):
    with pytest.raises(UserError, match='no test_dataloader and no val_dataloader'):
        set_of(Config(cfg))
