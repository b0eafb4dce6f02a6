"""What is said where there is no substitute for a compiled operator."""

from collections.abc import Callable
from typing import Any, NoReturn

from mmscale.errors import UserError
from mmscale.utils.environment import COMPILE

# Whom an operator serves, by how its name begins.
USERS = {
    'border_align': 'BorderDet',
    'deform_roi_pool': "mmdet's Faster R-CNN with deformable RoI pooling (dpool, mdpool)",
    'line_nms': "mmdet's CLRNet",
    'roi_pool': 'detectors with RoIPool instead of RoIAlign',
    'psamask': 'PSANet in mmsegmentation',
    'bias_act': "mmagic's StyleGAN3",
    'filtered_lrelu': "mmagic's StyleGAN3",
    'fused_bias_leakyrelu': "mmagic's StyleGAN2",
    'upfirdn2d': "mmagic's StyleGAN2 and StyleGAN3",
    'correlation': 'optical flow in mmflow',
    'tin_shift': 'TIN in mmaction2',
    'contour_expand': 'PSENet in mmocr',
    'pixel_group': 'PAN in mmocr',
    'bezier_align': 'ABCNet in mmocr',
    'prroi_pool': 'detectors and trackers with PrRoIPool',
    'active_rotated_filter': 'rotated boxes in mmrotate',
    'box_iou_': 'rotated boxes in mmrotate',
    'convex_': 'rotated boxes in mmrotate',
    'diff_iou_rotated': 'rotated boxes in mmrotate',
    'min_area_polygons': 'rotated boxes in mmrotate',
    'nms_': 'rotated boxes in mmrotate',
    'points_in_polygons': 'rotated boxes in mmrotate',
    'riroi_align_rotated': 'rotated boxes in mmrotate',
    'roi_align_rotated': 'rotated boxes in mmrotate',
    'rotated_feature_align': 'rotated boxes in mmrotate',
}
OTHERS = 'points, voxels and sparse convolutions, in mmdet3d for instance'


def refusal(name: str) -> Callable[..., NoReturn]:
    """A function in the place of an operator, which says what is missing when it is called.

    Args:
        name (str): The operator's name in ``mmcv._ext``.

    Returns:
        Callable: It takes any arguments.
    """
    users = next((users for start, users in USERS.items() if name.startswith(start)), OTHERS)

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise UserError(
            f"mmcv's operator {name} has to be compiled; nothing stands in for it. It serves "
            f'{users}. With a C++ compiler (in a checkout of mmscale make setup '
            f'OPERATORS=compiled does it):\n{COMPILE}'
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse
