"""From a model to an ONNX graph: folded, fixed where it has to be, and traced."""

from copy import deepcopy
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import nn

from mmscale.deploy import fuse
from mmscale.errors import UserError
from mmscale.export.graphs import (
    Classifier,
    Maps,
    Segmentor,
    TwoStage,
    check_segmentor,
    check_two_stage,
)
from mmscale.export.operators import translations
from mmscale.models.backbones.san import SAN
from mmscale.models.backbones.scalenet import ScaleBranch

OPSET = 18  # RoiAlign with half_pixel came with 16; 18 is what torch writes by itself
SMALLEST = 64  # side of a dynamic image
TRACED = (256, 320)  # with which a graph of dynamic size is traced
Graph = Any  # a module of mmscale.export.graphs, with names of its inputs and outputs


def build_graph(model: BaseModel, part: str, size: tuple[int, int] | None) -> Graph:
    """The part of a model as a graph that can be exported, folded and fixed where it has to be.

    Args:
        model (mmengine.model.BaseModel): In eval mode. It is not changed, except that a SAN's
            `resolution` is set.
        part (str): One of `PARTS`.
        size (tuple[int], optional): Height and width, if they are fixed.

    Returns:
        nn.Module: With ``input_names``, ``output_names`` and ``smallest``, the least side.

    Raises:
        UserError: If the model cannot be exported so.
    """
    if part == 'detector':
        check_two_stage(model)
    if part == 'segmentor':
        check_segmentor(model)
        check_pools(model, size)
    smallest = check_sizes(model, size)
    if part in ('detector', 'neck') and not getattr(model, 'with_neck', False):
        raise UserError('this detector has no neck: --part backbone')
    model = fuse(fixed_resolution(model, size))
    graph: Graph
    names: list[str] | None
    if part == 'classifier':
        graph, names = Classifier(model), ['logits']
    elif part == 'segmentor':
        graph, names = Segmentor(model), ['logits']
    elif part == 'detector':
        graph = TwoStage(model, fixed=size is not None)
        names = ['boxes', 'scores', 'labels', 'masks'][: 4 if model.roi_head.with_mask else 3]
    else:
        graph, names = Maps(model, neck=part == 'neck'), None
    graph.input_names = ['images', 'sizes'] if part == 'detector' else ['images']
    graph.smallest = smallest
    graph.eval().requires_grad_(False)
    if names is None:
        with torch.no_grad():
            maps = graph(torch.zeros(1, 3, *(size or TRACED), dtype=torch.uint8))
        names = [f'map{index}' for index in range(len(maps))]
    graph.output_names = names
    return graph


def check_sizes(model: BaseModel, size: tuple[int, int] | None) -> int:
    """The least side of the images that a file can take.

    Raises:
        UserError: If the model cannot take images of that size, or of any size.
    """
    branches = [module for module in model.modules() if isinstance(module, ScaleBranch)]
    if size is None and any(branch.resize == 'auto' for branch in branches):
        raise UserError(
            "ScaleNet's resize='auto' chooses its mode by the size of the images, so that a file "
            'for any size needs a fixed one: --cfg-options model.backbone.resize=bilinear (or '
            'nearest; results differ a little where the published choice is the other). Or fix '
            'the size: --shape 800 1344'
        )
    divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    if size is not None and any(side % divisor for side in size):
        up = ' '.join(str(-(-side // divisor) * divisor) for side in size)
        raise UserError(
            f'--shape {size[0]} {size[1]}: the model pads images to multiples of {divisor}; choose '
            f'those, such as {up}'
        )
    # Maps of stride 32 must not be smaller than the largest scale that pools them.
    return max([SMALLEST] + [32 * branch.scale for branch in branches])


def check_pools(model: BaseModel, size: tuple[int, int] | None) -> None:
    """Refuse a file for any size if the model pools its maps to a fixed number of cells.

    Raises:
        UserError: If the cells would be those of the size that the graph is traced with.
    """
    for module in model.modules():
        cells = getattr(module, 'output_size', None)
        if isinstance(module, nn.AdaptiveAvgPool2d) and cells not in (1, (1, 1)) and size is None:
            raise UserError(
                f'the model pools its maps to {cells} cells (a pyramid pooling), which a file can '
                'only do for images of one size: --shape 512 1024, or as they are tested'
            )


def fixed_resolution(model: BaseModel, size: tuple[int, int] | None) -> BaseModel:
    """A SAN as the plain network of its resolution, which is fixed; another model as it is.

    Raises:
        UserError: If nothing says which resolution.
    """
    backbone = model.backbone
    if not isinstance(backbone, SAN):
        return model
    resolution = backbone.resolution or (min(size) if size else None)
    if resolution is None:
        raise UserError(
            "a SAN's weights depend on the resolution, a file's do not: --cfg-options "
            f'model.backbone.resolution={backbone.resolutions[0]}, or fix the size by --shape'
        )
    backbone.resolution = resolution  # what the file is compared with
    model = deepcopy(model)
    model.backbone = backbone.plain(resolution)
    return model


def to_onnx(graph: Graph, batch: int | None = None, size: tuple[int, int] | None = None) -> Any:
    """A graph of :func:`build_graph` in ONNX, with operators of the standard only.

    Args:
        graph (nn.Module): The graph.
        batch (int, optional): A fixed number of images. Default: any.
        size (tuple[int], optional): A fixed height and width. Default: any.

    Returns:
        onnx.ModelProto: The model.
    """
    count = batch or 2  # torch.export takes a 1 for a number that never changes
    images = torch.zeros(count, 3, *(size or TRACED), dtype=torch.uint8)
    dims = {0: torch.export.Dim('batch')} if batch is None else {}
    sides = {}
    if size is None:
        sides = {
            axis: torch.export.Dim(name, min=graph.smallest)
            for axis, name in ((2, 'height'), (3, 'width'))
        }
    inputs: tuple[torch.Tensor, ...] = (images,)
    dynamic = {'images': {**dims, **sides}}
    if 'sizes' in graph.input_names:
        inputs += (torch.tensor([images.shape[2:]] * count),)
        dynamic['sizes'] = dims
    program = torch.onnx.export(
        graph,
        inputs,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=graph.input_names,
        output_names=graph.output_names,
        dynamic_shapes=dynamic,
        custom_translation_table=translations(),
    )
    assert program is not None  # as it is with dynamo
    return program.model_proto
