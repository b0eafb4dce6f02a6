"""Norms are calibrated before a test, by a hook."""

import pytest
from small_san import SAN

from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.resolutions.hook import CalibrateNormsHook
from mmscale.resolutions.testing import evaluate_resolutions


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        (dict(resolution='a'), r"\['a'\].*16 px"),
        (dict(resolution=0), r'\[0\]'),
        (dict(resolution=[30, 26]), '30, 26'),
        (dict(resolution=40, batches=-1), 'batches=-1'),
        (dict(resolution=40, batches='x'), "batches='x'"),
    ],
    ids=str,
)
def test_wrong_hooks(given, words):
    with pytest.raises(UserError, match=words):
        CalibrateNormsHook(**given)


def test_hook_needs_the_weights_that_it_calibrates(options, checkpoint, tmp_path):
    hook = dict(type='mmscale.CalibrateNormsHook', resolution=40, batches=1)
    changed = {**options, 'custom_hooks': [hook]}
    with pytest.raises(UserError, match="model.backbone.inference='ideal'"):
        evaluate(SAN, checkpoint, overrides=changed, work_dir=tmp_path)


def test_calibrating_comes_after_averaged_weights(options, checkpoint, tmp_path):
    ema = {'default_hooks.ema': dict(type='EMAHook', update_buffers=True)}
    ways = ['ideal', 'calibrated']
    rows = evaluate_resolutions(
        SAN, checkpoint, [40], ways, overrides={**options, **ema}, work_dir=tmp_path
    )
    plain = evaluate_resolutions(SAN, checkpoint, [40], ways, overrides=options, work_dir=tmp_path)
    names = ('accuracy/top1', 'accuracy/top5')
    assert [[row[name] for name in names] for row in rows] == [
        [row[name] for name in names] for row in plain
    ]
