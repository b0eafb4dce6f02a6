"""What mmpretrain has no word for. Imported by the configs that need it, never by detection."""

from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain import models as mmpretrain
from torch import nn

from mmscale.errors import UserError, is_number
from mmscale.models.backbones.san import resized
from mmscale.models.init_cfg import InitCfg, load_pretrained, other_rules
from mmscale.registry import MODELS


@MODELS.register_module(force=True)
class ImageClassifier(mmpretrain.ImageClassifier):
    """mmpretrain's classifier, whose ``init_cfg=dict(type='Pretrained', checkpoint=X)`` takes any
    file of its architecture (see :mod:`mmscale.checkpoints`).
    """

    init_cfg: Any

    def init_weights(self) -> None:
        """Initialise, then load the checkpoint that `init_cfg` names.

        Raises:
            UserError: If it cannot be read, or its backbone is another network's.
        """
        given = self.init_cfg
        self.init_cfg = other_rules(given)
        super().init_weights()
        self.init_cfg = given
        load_pretrained(self)


@MODELS.register_module(force=True)
class DropoutLinearClsHead(mmpretrain.LinearClsHead):
    """mmpretrain's linear head with dropout on its input, as ReXNet has it.

    Args:
        dropout (float): Probability in [0, 1] that a feature is zeroed in training.
        **kwargs: :class:`mmpretrain.models.LinearClsHead`'s. Weights start as PyTorch's defaults,
            as in the authors' program, unless `init_cfg` is given.
    """

    def __init__(
        self, *args: Any, dropout: float = 0.2, init_cfg: InitCfg = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, init_cfg=init_cfg, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Take the last of `feats`, (N, C), and drop some of it."""
        return self.dropout(super().pre_logits(feats))


@MODELS.register_module(force=True)
class SANClassifier(ImageClassifier):
    """Trains all resolutions of a SAN backbone at once, from one crop of every image (section 3.3).

    Args:
        kd (bool): Distil: every smaller resolution also learns from every larger one.
        flip_prob (float): With which an image is flipped, at each resolution anew.
        **kwargs: mmpretrain's ImageClassifier's.

    Raises:
        UserError: If `flip_prob` is not a probability, or `kd` not True or False.
    """

    def __init__(self, *args: Any, kd: bool = False, flip_prob: float = 0.5, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_number(flip_prob) or not 0 <= flip_prob <= 1:
            raise UserError(f'flip_prob={flip_prob!r} must be a number from 0 to 1')
        if not isinstance(kd, bool):
            raise UserError(f'kd={kd!r} must be True or False')
        self.kd = kd
        self.flip_prob = flip_prob

    def loss(self, inputs: torch.Tensor, data_samples: list) -> dict[str, torch.Tensor]:
        """The losses of one step.

        Args:
            inputs (Tensor): Crops (N, 3, H, W), best at the largest resolution.
            data_samples (list): mmpretrain's samples, with their labels.

        Returns:
            dict[str, Tensor]: The head's loss at each resolution (``loss_224``), and `loss_kd`.
        """
        resolutions = self.backbone.resolutions
        features = self.backbone([self._resized(inputs, r) for r in resolutions])
        if self.with_neck:
            features = [self.neck(maps) for maps in features]
        losses = {
            f'{name}_{r}': value
            for r, maps in zip(resolutions, features)
            for name, value in self.head.loss(maps, data_samples).items()
        }
        if self.kd:
            logits = {r: self.head(maps) for r, maps in zip(resolutions, features)}
            losses['loss_kd'] = self._distillation(logits)
        return losses

    def _resized(self, inputs, resolution):
        flipped = torch.rand(len(inputs), device=inputs.device) < self.flip_prob
        x = torch.where(flipped[:, None, None, None], inputs.flip(3), inputs)
        return resized(x, resolution)

    @staticmethod
    def _distillation(logits):
        """The sum of KL(larger, detached || smaller) over all pairs of resolutions."""
        loss = torch.zeros(()).to(next(iter(logits.values())))
        for larger, teacher in logits.items():
            for smaller, student in logits.items():
                if smaller < larger:
                    loss = loss + F.kl_div(
                        student.log_softmax(1), teacher.detach().softmax(1), reduction='batchmean'
                    )
        return loss
