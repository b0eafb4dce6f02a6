"""What mmpretrain has no word for. Imported by the configs that need it, never by detection."""

from typing import Any

from mmengine.registry import MODELS
from mmpretrain import models as mmpretrain
from torch import nn

from mmscale.models.backbones.base import load_pretrained, pretrained_cfg
from mmscale.registry import MODELS as SCOPED


@SCOPED.register_module()
class ImageClassifier(mmpretrain.ImageClassifier):
    """mmpretrain's classifier, whose ``init_cfg=dict(type='Pretrained', checkpoint=X)`` takes any
    file of its architecture (see :mod:`mmscale.checkpoints`).
    """

    init_cfg: Any

    def init_weights(self):
        """Initialise, then load the checkpoint that `init_cfg` names.

        Raises:
            UserError: If it cannot be read, or its backbone is another network's.
        """
        given = self.init_cfg
        if pretrained_cfg(given):
            self.init_cfg = None
        super().init_weights()
        self.init_cfg = given
        load_pretrained(self)


@MODELS.register_module()
class DropoutLinearClsHead(mmpretrain.LinearClsHead):
    """mmpretrain's linear head with dropout on its input, as ReXNet has it.

    Args:
        dropout (float): Probability in [0, 1] that a feature is zeroed in training.
        **kwargs: :class:`mmpretrain.models.LinearClsHead`'s. Weights start as PyTorch's defaults,
            as in the authors' program, unless `init_cfg` is given.
    """

    def __init__(self, *args, dropout=0.2, init_cfg=None, **kwargs):
        super().__init__(*args, init_cfg=init_cfg, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats):
        """Take the last of `feats`, (N, C), and drop some of it."""
        return self.dropout(super().pre_logits(feats))
