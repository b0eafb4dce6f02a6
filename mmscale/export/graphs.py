"""Models as exporters need them: tensors in, tensors out, sizes that do not depend on the data.

Every graph takes pixels as they come from a decoder, uint8 (N, 3, H, W) in RGB order, and
normalises them itself.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmscale.errors import UserError
from mmscale.export.operators import nms_keep, pyramid_roi_align
from mmscale.models.roi_align import RowRoIAlign

WH_RATIO_CLIP = 16 / 1000  # mmdet's bound on how much a box may grow or shrink
NOT_A_BOX = -1.0  # the score of what only fills a tensor up


class Normalise(nn.Module):
    """Pixels to what the network was trained on, by the numbers of its data preprocessor."""

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.bgr = not converts_to_rgb(preprocessor)
        normalises = preprocessor._enable_normalize
        mean = preprocessor.mean if normalises else torch.zeros(3, 1, 1)
        std = preprocessor.std if normalises else torch.ones(3, 1, 1)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer('mean', mean.detach().clone().float())
        self.register_buffer('std', std.detach().clone().float())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Take uint8 RGB (N, 3, H, W) to float32 in the network's order."""
        x = images.flip(1) if self.bgr else images
        return (x.float() - self.mean) / self.std


def converts_to_rgb(preprocessor: Any) -> bool:
    """Whether a data preprocessor turns the pictures, which mmcv reads as BGR, into RGB."""
    own = getattr(preprocessor, 'to_rgb', None)  # mmpretrain's
    return bool(preprocessor._channel_conversion if own is None else own)


class Maps(nn.Module):
    """A backbone, with or without the neck: one output for each map."""

    def __init__(self, model: Any, neck: bool) -> None:
        super().__init__()
        self.normalise = Normalise(model.data_preprocessor)
        self.backbone = model.backbone
        self.neck = model.neck if neck else nn.Identity()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Take uint8 RGB (N, 3, H, W) to a tuple of (N, C, h, w)."""
        return tuple(self.neck(self.backbone(self.normalise(images))))


class Classifier(nn.Module):
    """mmpretrain's classifier."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.normalise = Normalise(model.data_preprocessor)
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Take uint8 RGB (N, 3, H, W) to logits (N, classes)."""
        return self.model(self.normalise(images), mode='tensor')


class Segmentor(nn.Module):
    """mmseg's EncoderDecoder, from pixels to scores of every pixel."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.normalise = Normalise(model.data_preprocessor)
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Take uint8 RGB (N, 3, H, W) to logits (N, classes, H, W)."""
        head = self.model.decode_head
        logits = head(self.model.extract_feat(self.normalise(images)))
        return F.interpolate(
            logits, images.shape[2:], mode='bilinear', align_corners=head.align_corners
        )


class TwoStage(nn.Module):
    """mmdet's Faster and Mask R-CNN, from pixels to boxes.

    The same steps in the same order as mmdet's inference. As many boxes as the config allows are
    computed whatever is found: those that are none have a score below 0 on the way.

    Args:
        model (mmdet.models.TwoStageDetector): In eval mode.
        fixed (bool): The images' size is: a level may then have fewer anchors than the config
            would take of it.

    Raises:
        UserError: If a part of it has no form here.
    """

    def __init__(self, model: Any, fixed: bool) -> None:
        super().__init__()
        check_two_stage(model)
        self.normalise = Normalise(model.data_preprocessor)
        self.padding = float(model.data_preprocessor.pad_value)
        self.backbone, self.neck = model.backbone, model.neck
        self.rpn, self.roi_head = model.rpn_head, model.roi_head
        self.fixed = fixed

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect.

        Args:
            images (Tensor): uint8 RGB (N, 3, H, W).
            sizes (Tensor): int64 (N, 2), height and width of each picture in its upper left
                corner; what lies beyond may have any values.

        Returns:
            tuple[Tensor]: Boxes (N, K, 4) in pixels of the frame, scores (N, K) in falling order,
            labels (N, K); with a mask head also masks (N, K, h, w), probabilities within the
            boxes. Places without a detection have score 0, label -1 and a box of zeros.
        """
        sizes = sizes.float()
        # mmdet pads after normalising.
        rows = torch.arange(images.size(2), device=images.device)
        columns = torch.arange(images.size(3), device=images.device)
        inside = (rows < sizes[:, :1])[:, None, :, None] & (columns < sizes[:, 1:])[:, None, None]
        x = self.normalise(images).where(inside, self.padding)
        maps = self.neck(self.backbone(x))
        proposals = self.propose(maps, sizes)
        boxes, scores, labels = self.classify(maps, proposals, sizes)
        if not self.roi_head.with_mask:
            return boxes, scores, labels
        return boxes, scores, labels, self.masks(maps, boxes, labels)

    def propose(
        self, maps: Sequence[torch.Tensor], sizes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The proposals (N, P, 4) and whether each is one."""
        cfg, rpn = self.rpn.test_cfg, self.rpn
        boxes, scores = [], []
        for level, (logits, deltas) in enumerate(zip(*rpn(maps))):
            if rpn.use_sigmoid_cls:
                score = _rows(logits, 1)[..., 0].sigmoid()
            else:
                score = _rows(logits, rpn.cls_out_channels).softmax(-1)[..., 0]
            limit = cfg.get('nms_pre', -1)
            if limit > 0:
                if self.fixed:
                    limit = min(limit, score.size(1))
                else:  # never fewer than asked for, whatever the images' size
                    score = F.pad(score, (0, limit), value=NOT_A_BOX)
            score, index = score.topk(limit) if limit > 0 else score.sort(1, descending=True)
            priors = rpn.prior_generator.single_level_grid_priors(
                deltas.shape[2:], level, device=deltas.device
            )
            index = index.clamp(max=priors.size(0) - 1)  # of what was padded: any
            deltas = _rows(deltas, 4).gather(1, index[..., None].expand(-1, -1, 4))
            box = decode(rpn.bbox_coder, priors[index], deltas, sizes)
            smallest = cfg.get('min_bbox_size', -1)
            if smallest >= 0:
                sides = box[..., 2:] - box[..., :2]
                score = score.where((sides > smallest).all(-1), NOT_A_BOX)
            kept = nms_keep(box, score[:, None], cfg.max_per_img, cfg.nms.iou_threshold, 0.0)
            boxes.append(box)
            scores.append(kept[:, 0])
        box, score = torch.cat(boxes, 1), torch.cat(scores, 1)
        score, index = score.topk(min(cfg.max_per_img, score.size(1)))
        return box.gather(1, index[..., None].expand(-1, -1, 4)), score > 0

    def classify(
        self,
        maps: Sequence[torch.Tensor],
        proposals: tuple[torch.Tensor, torch.Tensor],
        sizes: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """Boxes, scores and labels of the detections, the highest scores first."""
        candidates, valid = proposals
        head, cfg = self.roi_head.bbox_head, self.roi_head.test_cfg
        count = candidates.size(1)
        features = align(self.roi_head.bbox_roi_extractor, maps, candidates)
        logits, deltas = head(features)
        scores = logits.softmax(-1)[:, :-1].unflatten(0, (-1, count))  # (N, P, C)
        scores = scores.where(valid[..., None], NOT_A_BOX).transpose(1, 2)
        classes = scores.size(1)
        deltas = deltas.unflatten(0, (-1, count)).unflatten(2, (-1, 4))
        boxes = decode(head.bbox_coder, candidates[:, :, None], deltas, sizes[:, None])
        boxes = boxes.transpose(1, 2)  # (N, C or 1, P, 4)
        limits = cfg.max_per_img, cfg.nms.iou_threshold, cfg.score_thr
        if boxes.size(1) == 1:
            kept = nms_keep(boxes[:, 0], scores, *limits)
            boxes = boxes.expand(-1, classes, -1, -1)
        else:
            # Each class has boxes of its own: to the operator, an image of its own.
            kept = nms_keep(boxes.flatten(0, 1), scores.flatten(0, 1)[:, None], *limits)
            kept = kept.unflatten(0, (-1, classes))[:, :, 0]
        score, index = kept.flatten(1).topk(min(cfg.max_per_img, classes * count))
        found = score > 0
        boxes = boxes.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 4))
        labels = torch.where(found, index // count, -1)
        return boxes * found[..., None], score.clamp(min=0), labels

    def masks(
        self, maps: Sequence[torch.Tensor], boxes: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Probabilities (N, K, h, w) of the masks within the boxes."""
        head = self.roi_head.mask_head
        logits = head(align(self.roi_head.mask_roi_extractor, maps, boxes))
        if head.class_agnostic:
            logits = logits[:, 0]
        else:
            channel = labels.flatten().clamp(min=0)[:, None, None, None]
            logits = logits.gather(1, channel.expand(-1, 1, *logits.shape[2:]))[:, 0]
        return logits.sigmoid().unflatten(0, (-1, boxes.size(1)))


def _rows(x, channels):
    """What a head says of every anchor: (N, A * channels, H, W) to (N, H * W * A, channels)."""
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))


def decode(
    coder: Any, boxes: torch.Tensor, deltas: torch.Tensor, sizes: torch.Tensor
) -> torch.Tensor:
    """Boxes moved by what a head predicts, and cut at the border of the picture.

    Args:
        coder (mmdet.models.DeltaXYWHBBoxCoder): For its means, deviations and border.
        boxes (Tensor): (..., 4).
        deltas (Tensor): (..., 4).
        sizes (Tensor): Height and width (N, 1..., 2), one dimension fewer than `deltas`.
    """
    deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    bound = abs(math.log(WH_RATIO_CLIP))
    centre = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    sides = boxes[..., 2:] - boxes[..., :2]
    centre = centre + sides * deltas[..., :2]
    half = sides * deltas[..., 2:].clamp(-bound, bound).exp() * 0.5
    corners = torch.cat([centre - half, centre + half], -1)
    if not coder.clip_border:
        return corners
    border = torch.cat([sizes, sizes], -1).flip(-1).unsqueeze(-2)  # width, height, width, height
    return corners.clamp(min=0).minimum(border)


def align(extractor: Any, maps: Sequence[torch.Tensor], boxes: torch.Tensor) -> torch.Tensor:
    """Features (N * K, C, h, w) of boxes (N, K, 4), each from the level that fits its size."""
    layers = extractor.roi_layers
    layer = layers[0]
    images = torch.arange(boxes.size(0), device=boxes.device)[:, None].expand(boxes.shape[:2])
    boxes, images = boxes.flatten(0, 1), images.flatten()
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    levels = torch.floor(torch.log2(side / extractor.finest_scale + 1e-6))
    levels = levels.clamp(0, len(layers) - 1).long()
    return pyramid_roi_align(
        list(maps[: len(layers)]),
        boxes,
        images,
        levels,
        [roi_layer.spatial_scale for roi_layer in layers],
        list(layer.output_size),
        layer.sampling_ratio,
        layer.aligned,
    )


def check_two_stage(model: Any) -> None:
    """Refuse detectors of which some part would be exported as something else.

    Args:
        model (nn.Module): As it was built: a part that a subclass stands for is refused.

    Raises:
        UserError: Naming the part.
    """
    from mmcv.ops import RoIAlign
    from mmdet import models as mmdet
    from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder

    kinds = {
        'rpn_head': (mmdet.RPNHead,),
        'rpn_head.prior_generator': (AnchorGenerator,),
        'rpn_head.bbox_coder': (DeltaXYWHBBoxCoder,),
        'roi_head': (mmdet.StandardRoIHead,),
        'roi_head.bbox_roi_extractor': (mmdet.SingleRoIExtractor,),
        'roi_head.bbox_head': (
            mmdet.BBoxHead,
            mmdet.ConvFCBBoxHead,
            mmdet.Shared2FCBBoxHead,
            mmdet.Shared4Conv1FCBBoxHead,
        ),
        'roi_head.bbox_head.bbox_coder': (DeltaXYWHBBoxCoder,),
    }
    roi_head: Any = getattr(model, 'roi_head', None)
    if getattr(roi_head, 'with_mask', False):
        kinds['roi_head.mask_roi_extractor'] = (mmdet.SingleRoIExtractor,)
        kinds['roi_head.mask_head'] = (mmdet.FCNMaskHead,)
    for path, allowed in kinds.items():
        part = model
        for name in path.split('.'):
            part = getattr(part, name, None)
        if type(part) not in allowed:
            names = ' or '.join(kind.__name__ for kind in allowed)
            given = 'missing' if part is None else type(part).__name__
            raise UserError(
                f'{path} of this detector is {given}: only those with {names} are '
                'exported whole. --part neck exports backbone and neck of any detector'
            )
    extractors = [roi_head.bbox_roi_extractor]
    extractors += [roi_head.mask_roi_extractor] if roi_head.with_mask else []
    layers = [layer for extractor in extractors for layer in extractor.roi_layers]
    settings = {
        'rpn_head.test_cfg.nms': _plain_nms(model.rpn_head.test_cfg.nms),
        'roi_head.test_cfg.nms': _plain_nms(roi_head.test_cfg.nms),
        'roi_head.shared_head': not roi_head.with_shared_head,
        'roi_head.bbox_head.with_reg': roi_head.bbox_head.with_reg,
        'roi_head.bbox_head.loss_cls': not roi_head.bbox_head.custom_cls_channels,
        'rpn_head.bbox_coder.add_ctr_clamp': not model.rpn_head.bbox_coder.add_ctr_clamp,
        'roi_layer': all(
            type(x) in (RoIAlign, RowRoIAlign) and x.pool_mode == 'avg' for x in layers
        ),
    }
    for path, usual in settings.items():
        if not usual:
            raise UserError(
                f'{path} of this detector is not set as usual (nms, RoIAlign with averages, boxes '
                'regressed, no shared head): it cannot be exported whole, only --part neck'
            )


def check_segmentor(model: Any) -> None:
    """Refuse segmentors of which some part would be exported as something else.

    Raises:
        UserError: Naming the part.
    """
    from mmseg.models import EncoderDecoder
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    head: Any = getattr(model, 'decode_head', None)
    theirs = isinstance(head, BaseDecodeHead)
    whole = 'only --part backbone is exported of it'
    if type(model) is not EncoderDecoder or not theirs:
        raise UserError(
            f'this segmentor is {type(model).__name__} with {type(head).__name__} as decode_head: '
            f'only EncoderDecoder with a head that gives one map is exported whole; {whole}'
        )
    for name in ('predict', 'predict_by_feat'):
        if getattr(type(head), name) is not getattr(BaseDecodeHead, name):
            raise UserError(
                f'decode_head of this segmentor, {type(head).__name__}, has a {name} of its own; '
                f'{whole}'
            )
    if head.out_channels == 1:
        raise UserError(
            'decode_head.out_channels=1 of this segmentor is compared with a threshold: only '
            'several classes are exported; give it out_channels=2'
        )
    if model.test_cfg.get('mode') != 'whole':
        raise UserError(
            f'test_cfg.mode={model.test_cfg.get("mode")!r} cuts pictures into windows, which a '
            'file does not: --cfg-options model.test_cfg.mode=whole'
        )
    if model.data_preprocessor.test_cfg:
        raise UserError(
            'data_preprocessor.test_cfg pads pictures to sizes that a file does not know: '
            '--cfg-options model.data_preprocessor.test_cfg=None'
        )


def _plain_nms(cfg):
    return cfg.get('type') == 'nms' and not set(cfg) - {'type', 'iou_threshold', 'split_thr'}
