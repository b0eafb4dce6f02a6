"""What ``init_cfg=dict(type='Pretrained', checkpoint=X)`` does in this package's models."""

from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmscale.checkpoints.fitting import load, variant_of
from mmscale.checkpoints.schemes import is_trusted
from mmscale.registry import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Loads a checkpoint of any known origin into a backbone or classifier, or fails.

    Args:
        checkpoint (str | None): As :func:`mmscale.checkpoints.find_file` takes it; None is a line
            in the log, and the model starts from scratch.
        prefix (str, optional): Take only tensors whose names begin with it.
        trust_checkpoint (bool): Let the file run code.
        map_location (Any): mmengine's; tensors always come by way of the CPU.
    """

    def __init__(
        self,
        checkpoint: str | None,
        prefix: str | None = None,
        trust_checkpoint: bool = False,
        map_location: Any = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.trust = trust_checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load it.

        Raises:
            UserError: If it cannot be read, or is another network's.
        """
        if self.checkpoint is None:
            print_log(
                f'{variant_of(module)} starts from scratch: init_cfg.checkpoint is None',
                logger='current',
            )
            return
        trust = self.trust or is_trusted()
        load(module, self.checkpoint, prefix=self.prefix, trust=trust)
