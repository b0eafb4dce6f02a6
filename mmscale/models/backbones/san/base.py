"""What SAN's main networks share: which weights and norms a batch gets."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError, check_choice, check_positive, is_whole
from mmscale.models.backbones.base import Backbone
from mmscale.models.backbones.san.generated import ResolutionNorm, Scale

RESOLUTIONS = (224, 192, 160, 128, 96)
ENCODING_BASE = 320


class Way(NamedTuple):
    """A way of inference: what a resolution that was not trained gets.

    Attributes:
        rule (Callable[[SAN, float], Scale]): From the network and the resolution in pixels.
        calibrates (str, optional): The way whose norms get new statistics for every resolution
            first (see
            :mod:`mmscale.resolutions.calibration`). A backbone is set to that way.
    """

    rule: Callable[['SAN', float], Scale]
    calibrates: str | None = None


def _proxy(san, resolution):
    return san.trained_scale(san.nearest(resolution))


def _ideal(san, resolution):
    nearest = san.nearest(resolution)
    return Scale(resolution / san.encoding_base, nearest, nearest, 0.0)


def _data_free(san, resolution):
    known = san.resolutions
    above = [i for i, r in enumerate(known) if r > resolution]
    below = [i for i, r in enumerate(known) if r < resolution]
    if not above or not below:
        return _ideal(san, resolution)
    upper = min(above, key=lambda i: known[i])
    lower = max(below, key=lambda i: known[i])
    share = (known[upper] - resolution) / (known[upper] - known[lower])
    return Scale(resolution / san.encoding_base, upper, lower, share)


WAYS = {
    'proxy': Way(_proxy),
    'ideal': Way(_ideal),
    'data-free': Way(_data_free),
    'calibrated': Way(_ideal, calibrates='ideal'),
}
# Those that a backbone takes as `inference`.
INFERENCE = tuple(name for name, way in WAYS.items() if way.calibrates is None)


def check_resolution(resolution: float) -> None:
    """Raises a UserError if it is not a number of pixels."""
    check_positive('resolution', resolution)


def resized(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Square images (N, 3, H, W) at a resolution in pixels, antialiased as Pillow's are."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    return F.interpolate(images, (resolution, resolution), mode='bilinear', antialias=True)


class SAN(Backbone):
    """What SAN's main networks share: which weights and norms a batch gets.

    Args:
        resolutions (Sequence[int]): The trained resolutions in pixels, in the order of the norms.
        encoding_base (float): The encoding is resolution / encoding_base, about 0.3 to 0.7.
        resolution (int, optional): Which one to compute for, if `forward` is not told. None: the
            shorter side of the images, so that every batch has its own.
        inference (str): One of `INFERENCE`: what a resolution that was not trained gets. 'proxy':
            weights and norms of the nearest trained one; 'ideal': its own weights, the norms of
            the nearest (calibrate them); 'data-free': its own weights, norms interpolated between
            the two neighbours. Nearest: the larger of two that are as near; beyond the trained
            range, its end.
    """

    min_size = 16

    def __init__(
        self,
        channels: Sequence[int],
        *,
        resolutions: Sequence[int],
        encoding_base: float,
        resolution: float | None,
        inference: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(channels, **kwargs)
        given = list(resolutions) if isinstance(resolutions, (list, tuple)) else []
        if (
            not given
            or not all(is_whole(r, self.min_size) for r in given)
            or len(set(given)) < len(given)
        ):
            raise UserError(
                f'resolutions={resolutions!r} must be different integers of at least '
                f'{self.min_size} px, such as {RESOLUTIONS}'
            )
        check_choice('inference', inference, INFERENCE)
        check_positive('encoding_base', encoding_base)
        if resolution is not None:
            check_resolution(resolution)
        self.resolutions = tuple(given)
        self.encoding_base = encoding_base
        self.resolution = resolution
        self.inference = inference

    def forward(self, x: Any, resolution: float | None = None) -> Any:
        """Extract features.

        Args:
            x (Tensor | list[Tensor]): Float images (N, 3, H, W); or, to train all resolutions at
                once, one such batch for each of `resolutions`.
            resolution (int, optional): Compute for this one, in pixels, whatever the images' size.

        Returns:
            tuple[Tensor] | list[tuple[Tensor]]: One map for each of `out_indices`; for a list of
            batches, a list of such tuples.

        Raises:
            UserError: If a list has another length than `resolutions`, or `resolution` is not
                a number of pixels.
        """
        if isinstance(x, (list, tuple)):
            if len(x) != len(self.resolutions):
                raise UserError(
                    f'{len(x)} batches do not fit resolutions={self.resolutions}: give one for each'
                )
            return [self.extract(batch, self.trained_scale(index)) for index, batch in enumerate(x)]
        return self.extract(x, self.scale_of(self.resolution_for(x, resolution)))

    def resolution_for(self, x: torch.Tensor, resolution: float | None = None) -> float:
        """The resolution that images are computed for: as told, the fixed one, or their own."""
        if resolution is not None:
            check_resolution(resolution)
            return resolution
        return self.resolution or min(x.shape[-2:])

    def trained_scale(self, index: int) -> Scale:
        """The :class:`Scale` of the trained resolution number `index`."""
        return Scale(self.resolutions[index] / self.encoding_base, index, index, 0.0)

    def nearest(self, resolution: float) -> int:
        """The index of the trained resolution next to `resolution`; of two as near, the larger."""
        known = self.resolutions
        return min(range(len(known)), key=lambda i: (abs(known[i] - resolution), -known[i]))

    def scale_of(self, resolution: float) -> Scale:
        """The :class:`Scale` for a resolution in pixels, as `inference` says."""
        nearest = self.nearest(resolution)
        if self.resolutions[nearest] == resolution:
            return self.trained_scale(nearest)
        return WAYS[self.inference].rule(self, resolution)

    def at(self, resolution: float) -> Any:
        """This network at one resolution: its weights generated once, without the generators.

        Args:
            resolution (int): In pixels; what was not trained gets what `inference` says.

        Returns:
            SAN: A copy in eval mode that gives the same outputs for images of any size. Its
            convolutions and norms are ordinary ones.

        Raises:
            UserError: If `resolution` is not a number of pixels, or the norms cannot be mixed.
        """
        check_resolution(resolution)
        network = deepcopy(self)
        with torch.no_grad():
            _replace_generated(network, self.scale_of(resolution))
        network.resolution = resolution
        return network.eval()

    def plain(self, resolution: float) -> nn.Module:
        """The ordinary network that this one is at a resolution, its weights generated once.

        Args:
            resolution (int): In pixels; what was not trained gets what `inference` says.

        Returns:
            nn.Module: mmdet's ResNet, ResNeXt or MobileNetV2 in eval mode, with the same outputs.
            The names of its state dict are mmdet's and mmpretrain's, a ResNet's torchvision's too.

        Raises:
            UserError: If `resolution` is not a number of pixels, or the norms are not batch norms.
        """
        check_resolution(resolution)
        for module in self.modules():
            if isinstance(module, ResolutionNorm):
                module.check_plain()
        ours = self.at(resolution)
        state = {}
        for key, value in ours.state_dict().items():
            name, _, kind = key.rpartition('.')
            state[f'{self.plain_name(name)}.{kind}'] = value
        network = self.plain_network().to(next(self.parameters()))
        network.load_state_dict(state)
        for name, module in ours.named_modules():
            if isinstance(module, _BatchNorm):
                network.get_submodule(self.plain_name(name)).eps = module.eps
            elif isinstance(module, nn.Conv2d):  # where output_stride is below 32
                theirs: Any = network.get_submodule(self.plain_name(name))
                theirs.stride, theirs.padding = module.stride, module.padding
                theirs.dilation = module.dilation
        network.eval()  # mmdet's returns None
        return network


def _replace_generated(module, scale):
    for name, child in module.named_children():
        if hasattr(child, 'at'):
            setattr(module, name, child.at(scale))
        else:
            _replace_generated(child, scale)
