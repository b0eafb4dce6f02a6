"""What torch has no exportable word for: suppression and RoIAlign, as operators of torch and ONNX.

Each operator is registered with torch, which runs it by mmcv's own code, and has a translation into
operators of the ONNX standard. The sizes of its outputs follow from its inputs' sizes alone; what
depends on the data, how many boxes survive say, stays inside the translation.
"""

from collections.abc import Callable
from typing import Any

import torch


def _operator(like: Callable) -> Callable:
    """Register the decorated function with torch; `like` gives an empty result of the same shape.

    Before torch 2.4 it stays a function: nothing can be exported there, which exporting says.
    """

    def register(function):
        if not hasattr(torch.library, 'custom_op'):
            return function
        name = f'mmscale::{function.__name__}'
        operator = torch.library.custom_op(name, function, mutates_args=())
        operator.register_fake(like)
        return operator

    return register


def _like_scores(boxes, scores, max_kept, iou_threshold, score_threshold):
    return torch.empty_like(scores)


def _like_features(maps, rois, images, levels, scales, size, sampling_ratio, aligned):
    return maps[0].new_empty(rois.size(0), maps[0].size(1), *size)


@_operator(_like_scores)
def nms_keep(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    max_kept: int,
    iou_threshold: float,
    score_threshold: float,
) -> torch.Tensor:
    """Non-maximum suppression for each image and class by itself.

    Args:
        boxes (Tensor): (N, P, 4), as x1, y1, x2, y2.
        scores (Tensor): (N, C, P).
        max_kept (int): At most so many boxes of one image and class, the highest first.
        iou_threshold (float): Boxes that overlap a higher one by more are suppressed.
        score_threshold (float): Boxes with this score or less are left out beforehand.

    Returns:
        Tensor: The scores of the boxes that are kept; -1 for all others.
    """
    from mmcv.ops import nms

    kept = torch.full_like(scores, -1)
    for image, by_class in enumerate(scores):
        for label, row in enumerate(by_class):
            candidates = (row > score_threshold).nonzero()[:, 0]
            if len(candidates):
                inputs = boxes[image, candidates].contiguous(), row[candidates].contiguous()
                indices = candidates[nms(*inputs, iou_threshold)[1][:max_kept]]
                kept[image, label, indices] = row[indices]
    return kept


@_operator(_like_features)
def pyramid_roi_align(
    maps: list[torch.Tensor],
    rois: torch.Tensor,
    images: torch.Tensor,
    levels: torch.Tensor,
    scales: list[float],
    size: list[int],
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """RoIAlign of every box on the map of its level.

    Args:
        maps (list[Tensor]): (N, C, H, W), one for each level.
        rois (Tensor): (K, 4), in pixels of the images, as x1, y1, x2, y2.
        images (Tensor): (K,) int64, the image of each box.
        levels (Tensor): (K,) int64, the level of each box.
        scales (list[float]): Pixels of each level's map per pixel of the image.
        size (list[int]): Height and width of the output.
        sampling_ratio (int): Samples per bin and side; 0 for as many as the box's size asks for.
        aligned (bool): Whether pixel centres are at half, as in mmcv.

    Returns:
        Tensor: (K, C, *size).
    """
    from mmcv.ops import roi_align

    output = maps[0].new_zeros(len(rois), maps[0].size(1), *size)
    boxes = torch.cat([images[:, None].to(rois), rois], 1)
    for level, (x, scale) in enumerate(zip(maps, scales)):
        here = (levels == level).nonzero()[:, 0]
        if len(here):
            output[here] = roi_align(
                x.contiguous(), boxes[here], tuple(size), scale, sampling_ratio, 'avg', aligned
            )
    return output


def translations() -> dict[Any, Callable]:
    """The ONNX form of each operator, as ``torch.onnx.export`` takes it."""
    import onnxscript

    op: Any = onnxscript.opset18

    def onnx_nms_keep(boxes, scores, max_kept, iou_threshold, score_threshold):
        selected = op.NonMaxSuppression(  # (kept, 3): image, class, box
            boxes,
            scores,
            op.Constant(value_ints=[max_kept]),
            op.Constant(value_floats=[iou_threshold]),
            op.Constant(value_floats=[score_threshold]),
        )
        nothing = op.Expand(op.Constant(value_floats=[-1.0]), op.Shape(scores))
        return op.ScatterND(nothing, selected, op.GatherND(scores, selected))

    def onnx_pyramid_roi_align(maps, rois, images, levels, scales, size, sampling_ratio, aligned):
        features, order = [], []
        for level, (x, scale) in enumerate(zip(maps, scales)):
            of_level = op.Equal(levels, op.Constant(value_int=level))
            here = op.Squeeze(op.NonZero(of_level), op.Constant(value_ints=[0]))
            order.append(here)
            features.append(
                op.RoiAlign(
                    x,
                    op.Gather(rois, here),
                    op.Gather(images, here),
                    coordinate_transformation_mode='half_pixel' if aligned else 'output_half_pixel',
                    mode='avg',
                    output_height=size[0],
                    output_width=size[1],
                    sampling_ratio=sampling_ratio,
                    spatial_scale=scale,
                )
            )
        # The boxes are sorted by level now; where each of them went puts them back in order.
        order = op.Concat(*order, axis=0)
        count = op.Shape(order)
        ascending = op.Range(op.Constant(value_int=0), op.Squeeze(count), op.Constant(value_int=1))
        places = op.ScatterElements(ascending, order, ascending)
        return op.Gather(op.Concat(*features, axis=0), places)

    return {
        torch.ops.mmscale.nms_keep.default: onnx_nms_keep,
        torch.ops.mmscale.pyramid_roi_align.default: onnx_pyramid_roi_align,
    }
