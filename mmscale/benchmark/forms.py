"""The models that are timed, and the forms that they run in."""

import contextlib
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData

from mmscale.deploy import fuse, to_channels_last
from mmscale.deploy.native import use_native_norms
from mmscale.engine.building import build_backbone, build_model
from mmscale.engine.checks import check_model
from mmscale.engine.config import find_config, load_config
from mmscale.engine.tasks import CLASSIFIER, SEGMENTOR, task_of
from mmscale.errors import UserError, check_choice
from mmscale.export.tracing import build_graph, to_onnx
from mmscale.exported.engines import ENGINES, Engine
from mmscale.models.backbones.base import STRIDES
from mmscale.utils.environment import require, require_optional

# Backbones with the maps of strides 4 to 32: ours, mmdet's, mmpretrain's and timm's (by its name).
MODELS: dict = {
    'rexnet-100': dict(type='mmscale.ReXNet', width_mult=1.0),
    'rexnet-lite-100': dict(type='mmscale.ReXNetLite', width_mult=1.0),
    'scalenet-50': dict(type='mmscale.ScaleNet', depth=50),
    'scalenet-50-with-cp': dict(type='mmscale.ScaleNet', depth=50, with_cp=True),
    'scalenet-50-cheap-cp': dict(type='mmscale.ScaleNet', depth=50, with_cp='cheap'),
    'rexnet-100-cheap-cp': dict(type='mmscale.ReXNet', width_mult=1.0, with_cp='cheap'),
    'scalenet-50-light': dict(type='mmscale.ScaleNet', structure='scalenet50_light'),
    'san-resnet-50': dict(type='mmscale.SANResNet', depth=50, resolution=224),
    'resnet-50': dict(type='mmdet.ResNet', depth=50),
    'resnext-50': dict(type='mmdet.ResNeXt', depth=50, groups=32, base_width=4),
    'mobilenet-v2': dict(type='mmdet.MobileNetV2', out_indices=(1, 2, 4, 6)),
    'se-resnet-50': dict(type='mmpretrain.SEResNet', depth=50, out_indices=(0, 1, 2, 3)),
    'efficientnet-b0': dict(type='mmpretrain.EfficientNet', arch='b0', out_indices=(2, 3, 4, 6)),
    'timm-rexnet-100': 'rexnet_100',
    'timm-rexnetr-100': 'rexnetr_100',
    'timm-efficientnet-b0': 'efficientnet_b0',
    'timm-mobilenetv4-small': 'mobilenetv4_conv_small',
    'timm-mobilenetv4-medium': 'mobilenetv4_conv_medium',
    'timm-repvit-m1.0': 'repvit_m1_0',
    'timm-hgnetv2-b0': 'hgnetv2_b0',
    'timm-cpubone-b0': 'cpubone_b0_bfrobust',
    'timm-cpubone-b1': 'cpubone_b1_bfrobust',
    # Whole detectors, by their configs.
    'faster-rcnn-rexnet-100': 'faster_rcnn_rexnet_fpn',
    'faster-rcnn-scalenet-50': 'faster_rcnn_scalenet_fpn',
    'faster-rcnn-resnet-50': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
}


class Case(NamedTuple):
    """A model, a row of `MODELS` or a config, in a form."""

    model: str
    form: str

    @classmethod
    def parse(cls, text: str) -> 'Case':
        """Read ``model:form``, or ``model`` for eager.

        Raises:
            UserError: If there is no such model or form.
        """
        model, found, form = text.rpartition(':')
        if not found or model.endswith(':'):  # mmdet::CONFIG.py
            model, form = text, 'eager'
        case = cls(model, form)
        if case.model not in MODELS and '::' not in case.model:
            try:
                find_config(case.model)
            except UserError as error:
                raise UserError(
                    f'model {case.model!r} is unknown; choose from {list(MODELS)}, or give a '
                    f'config: {error}'
                ) from error
        check_choice('form', case.form, FORMS)
        return case

    def __str__(self):
        return f'{self.model}:{self.form}'


class Detector(torch.nn.Module):
    """A whole detector as a function of its padded images: detections, or its loss in training.

    Args:
        model (mmdet.models.BaseDetector): With random weights: nothing scores above its threshold,
            but there are as many proposals as the config allows.
    """

    objects = 10  # in an image, for the loss

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> list:
        """For (N, 3, H, W)."""
        shape = tuple(x.shape[2:])
        meta = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, pad_shape=shape)
        sample = require('mmdet.structures').DetDataSample
        samples = [sample(metainfo=dict(**meta, scale_factor=(1.0, 1.0))) for _ in range(len(x))]
        if not self.training:
            return self.model.predict(x, samples)
        for sample in samples:
            sample.gt_instances = self._truth(x)
        return [self.model.parse_losses(self.model.loss(x, samples))[0]]

    def _truth(self, x):
        """Objects at random places, of a quarter to half of the image's sides."""
        height, width = x.shape[2:]
        sides = x.new_tensor([width, height])
        corners, sizes = (torch.rand(2, self.objects, 2) * 0.25).to(x) + x.new_tensor(0.25)
        truth = InstanceData(
            bboxes=torch.cat([corners * sides, (corners + sizes) * sides], 1),
            labels=torch.zeros(self.objects, dtype=torch.long, device=x.device),
        )
        if self.model.with_mask:
            masks = np.ones((self.objects, height, width), np.uint8)
            truth.masks = require('mmdet.structures.mask').BitmapMasks(masks, height, width)
        return truth


def build(name: str) -> torch.nn.Module:
    """The model of a :class:`Case`, in eval mode, with weights of its own seed and none loaded."""
    row = MODELS.get(name, name)
    torch.manual_seed(0)
    if name.startswith('timm-'):
        timm = require_optional('timm', name)
        model = timm.create_model(row, features_only=True)
        strides = model.feature_info.reduction()
        taps = [strides.index(stride) for stride in STRIDES[:4]]
        model = timm.create_model(row, features_only=True, out_indices=taps)
    elif isinstance(row, str):
        model = _whole(load_config(row), row)
    else:
        model = build_backbone(row)
    for key, parameter in model.named_parameters():
        if '.generator.' in key:  # as small as a SAN's after training: maps stay finite
            parameter.data *= 0.02
    model.eval()
    return model


def _whole(cfg, name):
    """The model of a config."""
    if not isinstance(cfg.get('model'), dict):
        raise UserError(
            f'{name!r} has no model = dict(...): give the config of a detector, a classifier or a '
            'segmentor'
        )
    rpn = cfg.model.get('test_cfg', {}).get('rpn')
    if rpn:  # random scores are all but equal; suppression would depend on the seed
        rpn.nms.iou_threshold = 1.0
    check_model(cfg)
    model = build_model(cfg)
    return model if task_of(cfg) in (CLASSIFIER, SEGMENTOR) else Detector(model)


# Forms: a model and an example to a function that computes


def _eager(model, x):
    return model


def _channels_last(model, x):
    return to_channels_last(model)


def _fused(model, x):
    return fuse(_merged(model))


def _native(model, x):
    if not model.training:
        return fuse(model, native=True)
    use_native_norms(to_channels_last(model))
    return model


def _merged(model):
    """A copy of timm's model with the branches merged that it merges for inference itself."""
    if not type(model).__module__.startswith('timm.'):
        return model
    return require_optional('timm', 'timm').utils.model.reparameterize_model(model)


def _compiled(model, x):
    """By torch.compile, whole or, of a detector, the parts that have no loops over images."""
    if isinstance(model, Detector):
        parts = dict(model.model.named_modules())
        for name in ('backbone', 'neck', 'bbox_head', 'rpn_head', 'roi_head.bbox_head'):
            if name in parts:
                parts[name].forward = torch.compile(parts[name].forward)
    else:
        model = torch.compile(model)
    # Weights become constants in the layout that oneDNN likes best.
    freezing = torch._inductor.config.patch(freezing=not torch.is_grad_enabled())
    with freezing:
        model(x)
    return model


def _compiled_plain(model, x):
    """By torch.compile as it is by default, in channels-last memory."""
    return torch.compile(to_channels_last(model))


def _bfloat16(model, x):
    model = _compiled(_fused(model, x).bfloat16(), x.bfloat16())
    return lambda x: model(x.bfloat16())


class InEngine:
    """A model that is exported for the shape of its images and run by an engine, on the CPU.

    Args:
        engine (Engine): The engine.
        model (torch.nn.Module): The model.
        x (torch.Tensor): Images.

    Attributes:
        size (int): Bytes of the exported files.
    """

    def __init__(self, engine: Engine, model: torch.nn.Module, x: torch.Tensor) -> None:
        self.model, x = model.cpu(), x.cpu()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f'model{engine.suffix}')
            engine.write(_to_onnx(model, x), {}, path)
            self.size = sum(file.stat().st_size for file in Path(folder).iterdir())
            self.opened = engine.open(path, torch.get_num_threads())

    def __call__(self, x: torch.Tensor) -> list[np.ndarray]:
        """The outputs, one array each."""
        return self.opened.compute(_arrays(self.model, x.cpu()))


def _to_onnx(model, x):
    """The fused model for the shape of `x`; a detector from pixels to boxes."""
    with contextlib.redirect_stdout(sys.stderr):
        if isinstance(model, Detector):
            size = tuple(x.shape[2:])
            return to_onnx(build_graph(model.model, 'detector', size), len(x), size)
        program = torch.onnx.export(_fused(model, x), (x,), dynamo=True, verbose=False)
    assert program is not None  # as it is with dynamo
    return program.model_proto


def _arrays(model, x):
    """What an exported model takes."""
    if not isinstance(model, Detector):
        return [x.numpy()]
    pixels = (x * 64 + 128).clamp(0, 255).byte().numpy()
    return [pixels, np.full((len(x), 2), x.shape[2:])]


FORMS: dict[str, Callable[..., Any]] = {
    'eager': _eager,
    'channels-last': _channels_last,
    'fused': _fused,
    'native': _native,
    'compiled': lambda model, x: _compiled(_fused(model, x), x),
    'compiled-plain': _compiled_plain,
    'bfloat16': _bfloat16,
    **{engine.name: functools.partial(InEngine, engine) for engine in ENGINES},
}
OUTSIDE = tuple(engine.name for engine in ENGINES)  # of PyTorch, and of its profiler
TRAINED = ('eager', 'channels-last', 'native', 'compiled-plain')
