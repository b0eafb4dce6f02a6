"""What cannot be exported says so."""

import pytest
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmscale.engine.config import load_config
from mmscale.errors import UserError
from mmscale.export.tracing import build_graph


@pytest.mark.parametrize(
    ('model', 'size', 'words'),
    [
        (dict(type='mmscale.ScaleNet'), None, 'model.backbone.resize=bilinear'),
        (dict(type='mmscale.SANResNet', depth=18), None, 'model.backbone.resolution=224'),
        (dict(type='mmscale.SANResNet', depth=18), (100, 224), '32.*128 224'),
    ],
)
def test_what_cannot_be_of_any_size_says_so(model, size, words):
    whole = nn.Module()
    whole.backbone = MODELS.build(model)
    whole.data_preprocessor = nn.Module()
    whole.data_preprocessor.pad_size_divisor = 32
    with pytest.raises(UserError, match=words):
        build_graph(whole, 'backbone', size)


def test_other_detectors_are_refused_by_their_part():
    cfg = load_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py')
    pytest.importorskip('mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    with pytest.raises(UserError, match='rpn_head of this detector is missing'):
        build_graph(model, 'detector', (64, 64))
