"""SANs that keep the weights they have generated."""

from typing import Any, cast

import torch
from torch import nn

from mmscale.deploy.blocks import inference_form
from mmscale.deploy.channels_last import to_channels_last
from mmscale.deploy.folding import fold_norms
from mmscale.models.backbones.san import SAN, SANMobileNetV2, SANResNet

KEPT = 8  # resolutions of a SAN whose weights are kept


class FusedSAN(nn.Module):
    """A SAN whose weights are generated once for each resolution that it meets, and then kept.

    To be compiled or exported, it should have met its resolution before: call it once, or
    :meth:`at`. With the SAN's own `resolution` set that is done already.

    Args:
        san (SAN): In eval mode.

    Attributes:
        networks (nn.ModuleDict): A fused network for each of the last `KEPT` scales. They follow
            from the SAN's weights, so that they are not in the state dict and are made anew when
            other weights are loaded.
    """

    def __init__(self, san: SAN) -> None:
        super().__init__()
        self.san = san
        self.networks = nn.ModuleDict()
        self._register_state_dict_hook(_without_networks)
        # Of the module alone, without a reference to this one: `at` copies the SAN and its hooks.
        san.register_load_state_dict_post_hook(_count_loads)
        self._loads = _loads(san)
        if san.resolution:
            self.at(san.resolution)

    def __getattr__(self, name: str) -> Any:
        """What the SAN says of itself: `out_channels`, `resolutions`, :meth:`SAN.plain`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'san':
                raise
            return getattr(self.san, name)

    def forward(self, x: Any, resolution: float | None = None) -> Any:
        """Extract features, as :meth:`mmscale.models.backbones.san.base.SAN.forward`."""
        if isinstance(x, (list, tuple)):  # a batch for each resolution, as in training
            return self.san(x)
        return self.at(self.san.resolution_for(x, resolution)).extract(x, None)

    def at(self, resolution: float) -> SAN:
        """The fused network for a resolution in pixels, generated when it is first asked for."""
        if self._loads != _loads(self.san):
            self.networks.clear()
            self._loads = _loads(self.san)
        scale = self.san.scale_of(resolution)
        key = '_'.join(map(str, scale)).replace('.', 'p').replace('-', 'm')  # no dots in names
        if key not in self.networks:
            while len(self.networks) >= KEPT:
                del self.networks[next(iter(self.networks))]
            self.networks[key] = _generated(self.san, resolution)
        return cast(SAN, self.networks[key])

    def _load_from_state_dict(self, *args, **kwargs):
        self.networks.clear()  # before the children are asked for their keys
        super()._load_from_state_dict(*args, **kwargs)


def _loads(san):
    return getattr(san, 'loads', 0)


def _count_loads(san, _):
    san.loads = _loads(san) + 1


def _without_networks(fused, state_dict, prefix, _):
    for key in [key for key in state_dict if key.startswith(f'{prefix}networks.')]:
        del state_dict[key]


@torch.no_grad()
def _generated(san, resolution):
    network = san.at(resolution).requires_grad_(False)
    fold_norms(network)
    return to_channels_last(network).eval()


@inference_form(SANResNet)
@inference_form(SANMobileNetV2)
def fuse_san(san: SAN) -> nn.Module:
    """The SAN that keeps what it has generated."""
    return FusedSAN(san).eval()
