"""mmdet's heads, where they need mending."""

from mmdet.models import dense_heads

from mmscale.registry import MODELS


@MODELS.register_module(force=True)
class SSDHead(dense_heads.SSDHead):
    """mmdet's SSD head, which ends with an AttributeError when it predicts, since mmdet 3.2.

    What all dense heads share asks for `loss_cls` there; SSD's loss is written out and has none
    (https://github.com/open-mmlab/mmdetection/issues/11780).
    """

    loss_cls = None
