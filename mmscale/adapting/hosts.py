"""Where in a model the backbone stands, and models that cannot do without the one they have."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from mmscale.adapting.changes import Path, look_up
from mmscale.errors import UserError
from mmscale.registry import type_name

# Wrappers (semi-supervised detectors, trackers) have the detector under this key.
INNER = 'detector'
# Beside the detector: parts that read the same pictures with weights of their own.
BESIDE = ('reid', 'teacher')

OF_ITS_OWN = 'it is a network for segmentation of its own, whose branches the heads read'
# Backbones that are part of a method, and which part of the model needs them.
METHODS = {
    'TridentResNet': 'roi_head reads the three branches that it computes with one set of weights',
    'DetectoRS_ResNet': 'the recursive pyramid and switchable convolutions are inside it',
    'DetectoRS_ResNeXt': 'the recursive pyramid and switchable convolutions are inside it',
    'HourglassNet': 'bbox_head reads both of its stacks, at stride 4',
    **dict.fromkeys(
        (
            'BiSeNetV1', 'BiSeNetV2', 'CGNet', 'DDRNet', 'ERFNet', 'FastSCNN', 'ICNet', 'PIDNet',
            'STDCContextPathNet', 'UNet', 'VPD',
        ),
        OF_ITS_OWN,
    ),
}  # fmt: skip


class Host(NamedTuple):
    """The part of a model that has the backbone.

    Attributes:
        path (tuple[str]): Where it stands in the config: ``('model',)`` or one key further down.
        cfg (Mapping): Its config.
    """

    path: Path
    cfg: Mapping[str, Any]

    @property
    def backbone(self) -> Mapping[str, Any]:
        """The config of its backbone."""
        return self.cfg['backbone']


def find_host(cfg: Config) -> Host:
    """The part of a config's model that has the backbone.

    Raises:
        UserError: If there is none, or it is part of the model's method.
    """
    model = cfg.get('model')
    if not isinstance(model, Mapping):
        raise UserError('the config has no model, so there is no backbone to exchange')
    for path in (('model',), ('model', INNER)):
        found = look_up(cfg, path)
        if isinstance(found, Mapping) and isinstance(found.get('backbone'), Mapping):
            host = Host(path, found)
            _refuse_methods(host)
            return host
    raise UserError(
        f'{_name(model)} has no backbone: neither model.backbone nor model.{INNER}.backbone is set'
    )


def _refuse_methods(host):
    kind = type_name(host.backbone.get('type', ''))
    if host.backbone.get('type') is None:
        raise UserError(
            f'{".".join(host.path)} is of another framework: its backbone has no type that '
            'OpenMMLab knows; take a detector of mmdet'
        )
    if kind in METHODS:
        raise UserError(
            f'{kind} is part of the method: {METHODS[kind]}; take a model whose neck or heads read '
            'plain maps'
        )
    if 'language_model' in host.cfg:
        raise UserError(
            f'{_name(host.cfg)} needs its {kind}: language_model and the fusion of text and '
            'picture were trained together with it; take a detector without text'
        )
    if any('rfp_backbone' in neck for neck in necks_of(host.cfg)):
        raise UserError(
            'neck.rfp_backbone is a second backbone of the same kind, which the recursive pyramid '
            'needs; take a detector with another neck'
        )


def beside(model: Mapping[str, Any]) -> list[str]:
    """Keys of a model's parts that read the same pictures with weights of their own."""
    return [key for key in model if str(key).startswith(BESIDE)]


def necks_of(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The necks of a model in order: none, the one, or a list of them."""
    neck = host.get('neck')
    if not neck:
        return []
    return list(neck) if isinstance(neck, (list, tuple)) else [neck]


def _name(cfg):
    return type_name(cfg.get('type', 'the model'))
