"""ReXNet's blocks over large maps, in tiles that stay in a CPU's cache."""

from math import ceil

import torch
import torch.nn.functional as F
from torch import nn

from mmscale.deploy.blocks import inference_form
from mmscale.models.backbones.rexnet import LinearBottleneck
from mmscale.utils.following import is_followed

TILED = (nn.Conv2d, nn.SiLU, nn.ReLU6)
# Bytes of a map: two layers' maps of a tile are to fit into the cache; what is small is left whole.
TILE, UNTILED = 8 * 2**20, 24 * 2**20


class TiledLayers(nn.Sequential):
    """Convolutions and activations in a row, on a CPU one tile of rows at a time.

    A whole map of an expanded block goes to memory and back between any two layers, a tile's stays
    in the cache. Rows that tiles share, for 3x3 kernels, are computed twice. What traces, compiles
    or exports meets the plain layers, for any size; so do other devices and maps that are small
    anyway. Hooks on the layers are called for whole maps alone.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, C, H, W) to what the layers make of it."""
        if x.device.type != 'cpu' or is_followed():
            return super().forward(x)
        heights, largest = self._heights(x)
        if largest <= UNTILED:
            return super().forward(x)
        rows = ceil(heights[-1] / ceil(largest / TILE))
        images = []
        for image in x.split(1):
            firsts = range(0, heights[-1], rows)
            tiles = [self._tile(image, heights, r, min(r + rows, heights[-1])) for r in firsts]
            images.append(torch.cat(tiles, 2))
        return images[0] if len(images) == 1 else torch.cat(images)

    def _convs(self):
        return [layer for layer in self if isinstance(layer, nn.Conv2d)]

    def _heights(self, x):
        """Rows before, between and after the convolutions; bytes of an image's largest map."""
        height, width = x.shape[2:]
        heights, largest = [height], 0
        for conv in self._convs():
            height, width = (
                (side + 2 * padding - reach) // stride + 1
                for side, padding, reach, stride in zip(
                    (height, width), conv.padding, _reach(conv), conv.stride
                )
            )
            heights.append(height)
            largest = max(largest, conv.out_channels * height * width * x.element_size())
        return heights, largest

    def _tile(self, x, heights, first, last):
        """The output's rows from `first` to before `last`, of one image."""
        outside = []  # rows of padding above and below the input of each convolution
        for conv, height in zip(reversed(self._convs()), reversed(heights[:-1])):
            first = first * conv.stride[0] - conv.padding[0]
            last = (last - 1) * conv.stride[0] - conv.padding[0] + _reach(conv)[0]
            outside.append((max(-first, 0), max(last - height, 0)))
            first, last = max(first, 0), min(last, height)
        x = x[:, :, first:last]
        for layer in self:
            if not isinstance(layer, nn.Conv2d):
                x = layer(x)
                continue
            above, below = outside.pop()
            if above or below:
                x = F.pad(x, (0, 0, above, below))
            sides = (0, int(layer.padding[1]))
            x = F.conv2d(
                x, layer.weight, layer.bias, layer.stride, sides, layer.dilation, layer.groups
            )
        return x


def _reach(conv):
    """Rows and columns of the input that an output pixel comes from."""
    return [(size - 1) * step + 1 for size, step in zip(conv.kernel_size, conv.dilation)]


def _can_be_tiled(layer):
    """Whether a tile's rows follow from the rows above and below it, as they are computed here."""
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != 'zeros':
        return False
    return type(layer) in TILED


@inference_form(LinearBottleneck)
def tile_block(block: LinearBottleneck) -> nn.Module:
    """Tile what a folded block does before its squeeze-excite, or all of it if it has none."""
    names = ['expand', 'depthwise']
    if isinstance(block.se, nn.Identity):
        names += ['act', 'project']
    modules = [m for name in names for m in getattr(block, name).modules()]
    layers = [m for m in modules if not isinstance(m, (nn.Sequential, nn.Identity))]
    if all(map(_can_be_tiled, layers)):  # norms that were not folded may need whole maps
        for name in names:
            setattr(block, name, nn.Identity())
        block.expand = TiledLayers(*layers)
    return block.eval()
