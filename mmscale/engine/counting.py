"""Parameters and multiply-adds of detectors, classifiers and segmentors, whole and by part.

Counted are the multiply-adds of convolutions, linear layers and matrix products for one image of
exactly the shape given, without the padding that a detector's data preprocessor would add. torch's
FlopCounterMode sees just these operators, wherever they are called from, and counts two FLOPs to a
multiply-add. mmengine.analysis is not used since it also counts batch norm and resizing (about 4 %
more for the detectors here).

A detector runs in mmdet's mode 'tensor': the box head of a two-stage one on all proposals, its mask
head on the first 100, which is what inference masks at most, and every mask head of a cascade. No
proposal is suppressed or too small, so there are always as many as the config allows, 1000 as a
rule, and the count does not depend on the random weights.
"""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.utils.flop_counter import FlopCounterMode

from mmscale.engine.building import BUILDING, build_backbone, build_model
from mmscale.engine.checks import check_model
from mmscale.engine.tasks import CLASSIFIER, SEGMENTOR, task_of
from mmscale.errors import UserError, first_line
from mmscale.utils.environment import require

SMALLEST = 32
MASKS = 100
# Their compiled operators do not reach the counter.
CUSTOM_OPS = ('mmcv.ops', 'torchvision.ops')


def count(config: Config, shape: Sequence[int] | None = None) -> dict[str, Any]:
    """Count a model's parameters, and its multiply-adds in inference on one image.

    Args:
        config (mmengine.Config): A detector's or, with the default scope 'mmpretrain', a
            classifier's, or with 'mmseg' a segmentor's. Weights are random whatever it says:
            nothing is loaded.
        shape (Sequence[int], optional): Height and width in pixels, or one number for a square.
            Default: 800 1200 for detectors, 224 224 for classifiers, 512 1024 for segmentors.

    Returns:
        dict: ``params`` and ``macs`` of the whole model, ``parts`` with the same two for each of
        its top-level children (they add up to the whole), ``shape`` as [height, width], and
        ``not_counted``: the types of layers with weights whose operators the counter cannot see,
        deformable convolutions for example. Their parameters are counted.

    Raises:
        UserError: If the config has no model, or the model cannot take that shape.
    """
    if 'model' not in config:
        raise UserError('the config has no model')
    task = task_of(config)
    height, width = _check_shape(shape or task.shape)
    scope = DefaultScope.overwrite_default_scope(task.package)
    with torch.random.fork_rng(devices=[]), scope:
        torch.manual_seed(0)
        model = _build(config)
        with _fitting(config, model, (height, width)):
            macs_by_module = _count_macs(model, _inputs(model, task, height, width))
    params = _by_part({name: p.numel() for name, p in model.named_parameters()})
    macs = _by_part(macs_by_module)
    names = dict.fromkeys([*dict(model.named_children()), *params, *+macs])
    names.pop('data_preprocessor', None)
    return {
        'params': params.total(),
        'macs': macs.total(),
        'parts': {name: {'params': params[name], 'macs': macs[name]} for name in names},
        'shape': [height, width],
        'not_counted': _not_counted(model, macs_by_module),
    }


def backbone_macs(config: Mapping[str, Any], shape: Sequence[int]) -> int:
    """Multiply-adds of a backbone alone, fast: nothing is computed (torch's meta device).

    Args:
        config (dict): The backbone's.
        shape (Sequence[int]): Height and width in pixels.
    """
    with torch.device('meta'):
        backbone = build_backbone(config)
    image = torch.zeros(1, _channels(backbone), *shape, device='meta')
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone(image)
    return counter.get_total_flops() // 2


def _channels(model):
    """Channels of the images that a model, or a backbone alone, takes."""
    return getattr(getattr(model, 'backbone', model), 'in_channels', 3)


def _check_shape(shape):
    if len(shape) not in (1, 2) or min(shape) < SMALLEST:
        raise UserError(
            f'shape {" ".join(map(str, shape))} must be a height and a width, or one number for '
            f'both, of {SMALLEST} pixels or more'
        )
    return shape[0], shape[-1]


def _build(config):
    """The model as for inference, on which the count does not depend on the random weights."""
    config = deepcopy(config)
    rpn = (config.model.get('test_cfg') or {}).get('rpn')
    if rpn:
        # No two boxes overlap more than wholly, and sizes below 0 are not asked for.
        rpn.update(nms=dict(type='nms', iou_threshold=2.0), min_bbox_size=-1)
    model = build_model(config)
    model.eval()
    # Without gradients, which FlopCounterMode would follow too.
    model.requires_grad_(False)
    roi_head: Any = getattr(model, 'roi_head', None)
    if hasattr(roi_head, 'num_stages') and roi_head.with_mask:
        cascade = require('mmdet.models.roi_heads').CascadeRoIHead
        if type(roi_head).forward is cascade.forward:  # others cut by themselves
            roi_head._mask_forward = _first_masks(roi_head._mask_forward)
    return model


def _first_masks(mask_forward):
    """A cascade's masks of as many boxes as other detectors' mode 'tensor' takes, for all."""

    @functools.wraps(mask_forward)
    def forward(stage, x, rois):
        results = mask_forward(stage, x, rois[:MASKS])
        repeats = torch.arange(len(rois)) % MASKS  # mmdet has one for each proposal
        return {**results, 'mask_preds': results['mask_preds'][repeats]}

    return forward


def _inputs(model, task, height, width):
    """What the model takes: one image and, for detectors and segmentors, its description."""
    image = torch.rand(1, _channels(model), height, width)
    if task is CLASSIFIER:
        return dict(inputs=image)
    shape = (height, width)
    meta = dict(
        ori_shape=shape,
        img_shape=shape,
        pad_shape=shape,
        batch_input_shape=shape,
        scale_factor=(1.0, 1.0),
    )
    if task is SEGMENTOR:
        return dict(inputs=image, batch_img_metas=[meta])
    sample = require('mmdet.structures').DetDataSample(metainfo=meta)
    return dict(inputs=image, data_samples=[sample])


def _count_macs(model, inputs):
    """Multiply-adds of every module that was called, without those of its children.

    The calls under way are on a stack; whenever one begins or ends, what the counter has gone up by
    belongs to the one on top. (The counter's own table by module differs between versions of torch,
    and no hook runs where mmdet calls the `forward` of a head directly.)
    """
    counter = FlopCounterMode(display=False)
    flops: Counter[str] = Counter()
    stack = ['other']

    def book():
        flops[stack[-1]] += counter.get_total_flops() - flops.total()

    def watched(name, forward):
        @functools.wraps(forward)
        def call(*args, **kwargs):
            book()
            stack.append(name)
            output = forward(*args, **kwargs)
            book()
            stack.pop()
            return output

        return call

    for name, module in model.named_modules():
        if name:
            module.forward = watched(name, module.forward)
    with torch.no_grad(), _plain_attention(), counter:
        _forward(model, inputs)
    book()
    return Counter({name: number // 2 for name, number in flops.items()})


@contextmanager
def _fitting(config, model, shape):
    """Has a model that cannot be run name what is wrong with its config, or the image."""
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, *BUILDING) as error:
        check_model(config)
        height, width = shape
        raise UserError(
            f'{type(model).__name__} cannot take a {height} x {width} image; some models need '
            f'multiples of 32 ({first_line(error)})'
        ) from error


def _forward(model, inputs):
    if 'batch_img_metas' in inputs:  # of a segmentor, which would cut the image into windows
        model.encode_decode(**inputs)
    else:
        model(**inputs, mode='tensor')


@contextmanager
def _plain_attention():
    """Compute attention by matrix products: the counter does not know the fused CPU kernel."""
    before = torch.backends.cuda.flash_sdp_enabled()
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def _by_part(numbers):
    parts: Counter[str] = Counter()
    for name, number in numbers.items():
        parts[name.partition('.')[0]] += number
    return parts


def _not_counted(model, macs):
    """Types of the custom layers that have weights and ran without the counter's notice."""
    return sorted(
        {
            type(module).__name__
            for name, module in model.named_modules()
            if macs.get(name) == 0
            and any(kind.__module__.startswith(CUSTOM_OPS) for kind in type(module).__mro__)
            and any(True for _ in module.parameters(recurse=False))
        }
    )
