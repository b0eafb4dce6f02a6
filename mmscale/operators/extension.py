"""The module ``mmcv._ext`` where there is no compiled one (see :mod:`mmscale.operators.finder`).

What is imported here computes; every other name that mmcv asks for is a function that refuses.
"""

import logging
import multiprocessing

from mmscale.operators.attention import ms_deform_attn_backward, ms_deform_attn_forward
from mmscale.operators.boxes import bbox_overlaps
from mmscale.operators.carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
from mmscale.operators.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from mmscale.operators.info import get_compiler_version, get_compiling_cuda_version
from mmscale.operators.losses import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from mmscale.operators.masked_conv import masked_col2im_forward, masked_im2col_forward
from mmscale.operators.nms import nms, nms_match
from mmscale.operators.refusals import refusal
from mmscale.operators.roi_align import roi_align_backward, roi_align_forward
from mmscale.operators.soft_nms import softnms
from mmscale.operators.sync_bn import (
    sync_bn_backward_data,
    sync_bn_backward_param,
    sync_bn_forward_mean,
    sync_bn_forward_output,
    sync_bn_forward_var,
)

__all__ = [
    'bbox_overlaps',
    'carafe_backward',
    'carafe_forward',
    'carafe_naive_backward',
    'carafe_naive_forward',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    'deform_conv_forward',
    'get_compiler_version',
    'get_compiling_cuda_version',
    'masked_col2im_forward',
    'masked_im2col_forward',
    'modulated_deform_conv_backward',
    'modulated_deform_conv_forward',
    'ms_deform_attn_backward',
    'ms_deform_attn_forward',
    'nms',
    'nms_match',
    'roi_align_backward',
    'roi_align_forward',
    'sigmoid_focal_loss_backward',
    'sigmoid_focal_loss_forward',
    'softmax_focal_loss_backward',
    'softmax_focal_loss_forward',
    'softnms',
    'sync_bn_backward_data',
    'sync_bn_backward_param',
    'sync_bn_forward_mean',
    'sync_bn_forward_output',
    'sync_bn_forward_var',
]


def __getattr__(name):
    # mmcv's versions ask for different names: all of them are there, but what Python itself asks.
    if name.startswith('_'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return refusal(name)


# Once, and not in every worker of a data loader.
if __name__ == 'mmcv._ext' and multiprocessing.current_process().name == 'MainProcess':
    logging.getLogger('mmscale').warning(
        "mmcv runs without compiled operators: torchvision's and PyTorch's stand in "
        '(MMSCALE_OPERATORS=compiled forbids it)'
    )
