"""What mmpretrain has no word for. Imported by the configs that need it, never by detection."""

from mmengine.registry import MODELS
from mmpretrain.models import LinearClsHead
from torch import nn


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
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
