"""Calibration of a SAN's norms in memory, before a test at another resolution."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmscale.engine.hooks import inner_model
from mmscale.errors import UserError
from mmscale.models.backbones.san import SAN
from mmscale.registry import HOOKS
from mmscale.resolutions.calibration import BATCHES, calibrate, check_calibration, training_batches


@HOOKS.register_module()
class CalibrateNormsHook(Hook):
    """Before a SAN is tested at a resolution, takes the statistics of its norms anew for it.

    The checkpoint stays as it is; tools/calibrate_bn.py writes one. A trained resolution has
    statistics of its own and keeps them. Any other takes those of its nearest in memory, so that
    this test has to be made at `resolution` alone, with ``model.backbone.inference='ideal'``.

    Args:
        resolution (int): At which the test is made, in pixels.
        batches (int): Of training images, that the statistics are averaged over; the same ones
            every time. Of several processes each takes its own.

    Raises:
        UserError: If an argument is out of range, or the model is not a SAN with these weights.
    """

    priority = 'LOW'  # after an EMA's weights have taken their place

    def __init__(self, resolution: int, batches: int = BATCHES) -> None:
        check_calibration([resolution], batches)
        self.resolution = resolution
        self.batches = batches

    def before_test_epoch(self, runner: Runner) -> None:
        """Run training images through the model."""
        model = inner_model(runner.model)
        if not isinstance(model.backbone, SAN):
            raise UserError('CalibrateNormsHook: the backbone is not a SAN')
        if self.resolution in model.backbone.resolutions:
            return
        if model.backbone.inference != 'ideal':
            raise UserError(
                f'CalibrateNormsHook calibrates for the weights of {self.resolution} px, which '
                f'inference={model.backbone.inference!r} does not use: '
                "model.backbone.inference='ideal'"
            )
        batches = training_batches(runner.cfg, self.batches)
        calibrate(model, batches, self.resolution)
