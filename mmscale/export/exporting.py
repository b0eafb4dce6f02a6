"""From a config and a checkpoint to a file that was compared with PyTorch."""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmscale.checkpoints import find_file
from mmscale.checkpoints.reading import sha256
from mmscale.datasets.pictures import list_pictures
from mmscale.engine.config import load_config
from mmscale.engine.pipelines import fit_pipeline, last_size
from mmscale.engine.resuming import best_checkpoint
from mmscale.engine.runtime import runtime_config
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, SEGMENTOR, TASKS, task_of
from mmscale.errors import UserError, check_whole, first_line
from mmscale.export.certificate import certify
from mmscale.export.parity import compare, data_set, pictures_for, spread
from mmscale.export.quantization import COUNT, quantise
from mmscale.export.tracing import build_graph, to_onnx
from mmscale.exported.description import FORMAT, check_runtime
from mmscale.exported.engines import engine_of
from mmscale.exported.files import ExportedFile
from mmscale.exported.models import PREDICTING
from mmscale.families import backbone_class
from mmscale.inference.loading import load_model
from mmscale.utils.configs import test_set
from mmscale.utils.environment import require_optional
from mmscale.utils.files import check_out
from mmscale.utils.folders import folder_aside
from mmscale.utils.progress import Bars
from mmscale.version import __version__

DYNAMIC = 'dynamic'
SHOWN = 3  # differences that a message lists
# What the outputs of each part mean, as the file says it.
OUTPUTS = {
    'backbone': {'map{}': 'float32 (N, C, H / stride, W / stride), from fine to coarse'},
    'neck': {'map{}': 'float32 (N, C, H / stride, W / stride), from fine to coarse'},
    'classifier': {'logits': 'float32 (N, classes), before the softmax'},
    'segmentor': {'logits': 'float32 (N, classes, H, W), before the softmax'},
    'detector': {
        'boxes': 'float32 (N, K, 4): x1, y1, x2, y2 in pixels of the frame; 0 where there is none',
        'scores': 'float32 (N, K), falling; 0 where there is none',
        'labels': 'int64 (N, K), index of the class; -1 where there is none',
        'masks': 'float32 (N, K, 28, 28): probabilities within the box',
    },
}


class Written(NamedTuple):
    """A file that was kept: its `path`, and what was `compared` in words."""

    path: Path
    compared: str


def export(
    config: str,
    checkpoint: str,
    out: str | Path,
    *,
    part: str | None = None,
    shape: str | Sequence[int | str] | None = None,
    batch: int | None = None,
    images: Sequence[str] | None = None,
    int8: bool = False,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Written:
    """Write a model as an ONNX or OpenVINO file, if it computes there what it does in PyTorch.

    Args:
        config (str): Path or bare name.
        checkpoint (str): As in :func:`mmscale.engine.testing.evaluate`.
        out (str): NAME.onnx; or NAME.xml, which has NAME.bin beside it.
        part (str, optional): 'detector', 'classifier', 'segmentor', 'neck' (with the backbone) or
            'backbone'. Default: the whole of what the config describes.
        shape (str | Sequence[int], optional): Height and width of the images, or 'dynamic'.
            Default: what a classifier's test pipeline gives, and 'dynamic' for others.
        batch (int, optional): A fixed number of images. Default: any number.
        images (Sequence[str], optional): Pictures and folders of such to compare on. Default: the
            first of the config's test set, or shapes drawn for it.
        int8 (bool): Once the file is compared, quantise it to 8 bits with 100 images of the
            config's training set, and test both on its test set: the file in 8 bits is kept if it
            loses at most half a point and is faster, else that in float32
            (:class:`mmscale.export.certificate.Certificate`, in the file's description). Of a
            backbone or neck, which has no figure, the 8 bits are kept.
        trust_checkpoint, overrides: As in :func:`mmscale.engine.testing.evaluate`.

    Returns:
        Written: The file.

    Raises:
        UserError: If an argument does not fit, or what the file computes differs. Nothing is
            written then.
    """
    out = Path(out)
    _check_tools(out)
    if os.path.isdir(checkpoint):
        checkpoint = best_checkpoint(checkpoint, trust=trust_checkpoint)
    cfg = load_config(config, overrides)
    part = part or (task_of(cfg).name if task_of(cfg) in TASKS else DETECTOR.name)
    size = image_size(cfg, part, shape)
    if images is not None:
        list_pictures(images)  # minutes before they are compared
    if batch is not None:
        check_whole('--batch', batch)
    _check_describable(cfg, config)
    model = load_model(cfg, checkpoint, trust=trust_checkpoint)
    calibration = spread(_set_of(cfg, 'train'), COUNT) if int8 else ()
    judged = int8 and part in PREDICTING
    if judged:
        _set_of(cfg, 'test')
    fit_pipeline(model.cfg, size)
    meta = dict(
        format=FORMAT,
        mmscale=__version__,
        part=part,
        config=str(config),
        config_sha256=_digest(cfg),
        checkpoint_sha256=sha256(find_file(checkpoint)),
    )
    graph = build_graph(model, part, size)
    meta |= describe(model, graph, part, size, batch)
    with folder_aside(out) as folder:
        aside, bars = folder / out.name, Bars()
        with bars.shown():
            bar = bars.start('export', 2 + int8)
            bar.wait('writing the file')
            engine_of(out).write(_traced(graph, batch, size, part), meta, aside)
            bar.step('comparing it with PyTorch')
            file, paths = ExportedFile(aside), pictures_for(cfg, images, folder)
            compared, wrong = compare(model, file, paths)
            if wrong:
                shown = '; '.join(wrong[:SHOWN])
                raise UserError(
                    f'{out.name} is not kept: it computes something else than PyTorch. {compared}; '
                    f'{len(wrong)} differences: {shown}'
                )
            if int8:
                bar.step('quantising it to 8 bits')
                small = ExportedFile(_quantised(file, model.cfg, calibration, folder))
                said, wrong = compare(model, small, paths)
                compared += f'. In 8 bits: {said}; {len(wrong)} beyond the bounds of float32'
        if judged:
            files = [file, small]
            found = certify(files, config, model.cfg, paths[0], folder / 'tests', overrides)
            compared += f'. {found}'
            aside = folder / 'described' / out.name
            aside.parent.mkdir()
            meta['eight_bits'] = dict(**found._asdict(), kept=found.kept)
            engine_of(out).describe(files[found.kept].path, meta, aside)
        elif int8:
            aside = small.path
        # The .bin comes before the .xml.
        for path in sorted(p for p in aside.parent.iterdir() if p.stem == out.stem):
            path.replace(out.with_name(path.name))
    return Written(out, compared)


def _quantised(file, cfg, pictures, folder):
    out = folder / '8' / file.path.name
    out.parent.mkdir()
    quantise(file, cfg, pictures, out)
    return out


def _traced(graph, batch, size, part):
    try:
        return to_onnx(graph, batch, size)
    except Exception as error:  # anyone's model may end torch's exporter with anything
        raise UserError(
            f"the {part} has an operation that torch's exporter cannot write: {first_line(error)}. "
            '--part backbone exports less of it'
        ) from error


def _check_tools(out):
    engine = engine_of(out)
    check_out(out)
    if 'custom_translation_table' not in inspect.signature(torch.onnx.export).parameters:
        raise UserError(
            f'exporting needs the exporter of torch 2.6 or later (tested with 2.11), not torch '
            f'{torch.__version__}. A checkpoint may be exported in another environment than it was '
            'trained in; the file needs no torch'
        )
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        require_optional(module, 'exporting')
    require_optional(engine.package, f'writing {out.name}')


def _check_describable(cfg, config):
    """Stop minutes before a file is written that nobody would read."""
    if task_of(cfg) not in TASKS:
        return  # which the model's loading says
    channels = cfg.model.get('backbone', {}).get('in_channels', 3)
    if channels != 3:
        raise UserError(
            f'{config} cannot be exported: its backbone has in_channels={channels}, and exported '
            'files take pictures of three channels. Export the backbone with torch.onnx.export'
        )
    try:
        check_runtime(runtime_config(cfg))
    except UserError as error:
        raise UserError(
            f'{config} cannot be exported, as a file could not say how to use it: {error}. '
            'Change the test pipeline of the config'
        ) from None


def _set_of(cfg, split):
    """The pictures of a split, minutes before 8 bits need them."""
    require_optional('nncf', '--int8')
    try:
        return data_set(cfg, split)
    except (OSError, RuntimeError) as error:
        raise UserError(f'--int8 needs the {split} set of the config: {error}') from error


def _digest(cfg):
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def image_size(
    cfg: Config, part: str, shape: str | Sequence[int | str] | None
) -> tuple[int, int] | None:
    """Height and width that a file takes, or None for any.

    Args:
        cfg (mmengine.Config): The whole config.
        part (str): One of `PARTS`.
        shape (str | Sequence[int], optional): As in :func:`export`.

    Raises:
        UserError: If that is not a shape, or the part is not one of this config's.
    """
    task = task_of(cfg)
    suit = ['detector', 'neck', 'backbone']
    if task in (CLASSIFIER, SEGMENTOR):
        suit = [task.name, 'backbone']
    if part not in suit:
        raise UserError(f'--part {part!r} does not suit this config; choose from {suit}')
    if shape is None and task is CLASSIFIER:
        shape = last_size(test_set(cfg).pipeline)
    if shape is None or shape == DYNAMIC or tuple(shape) == (DYNAMIC,):
        return None
    try:
        sides = [int(side) for side in shape]
    except ValueError:
        sides = []
    least = getattr(backbone_class(cfg), 'min_size', 32)
    if len(sides) not in (1, 2) or min(sides) < least:
        raise UserError(
            f'--shape {shape} must be height and width, one number for both ({least} px or more), '
            f'or the word {DYNAMIC}'
        )
    return sides[0], sides[-1]


def describe(
    model: Any, graph: Any, part: str, size: tuple[int, int] | None, batch: int | None
) -> dict:
    """What a file says about itself beside where it comes from."""
    runtime, normalise = model.cfg.to_dict(), graph.normalise
    thresholds = None
    if part == 'detector':
        cfg = model.roi_head.test_cfg
        thresholds = dict(score=cfg.score_thr, nms=cfg.nms.iou_threshold)
        if model.roi_head.with_mask:
            thresholds['mask'] = cfg.mask_thr_binary
    found = dict(
        classes=runtime['test_dataloader']['dataset']['metainfo'].get('classes'),
        input=dict(
            images='uint8 (N, 3, H, W), RGB, 0 to 255; the file normalises them itself',
            sizes='int64 (N, 2), height and width of each picture in the upper left corner of its '
            'frame; what lies beyond counts as padding',
            batch=batch,
            size=size,
            divisor=getattr(model.data_preprocessor, 'pad_size_divisor', 1),
            smallest=graph.smallest,
        ),
        normalised=dict(
            mean=normalise.mean.flatten().tolist(),
            std=normalise.std.flatten().tolist(),
            order='BGR' if normalise.bgr else 'RGB',
        ),
        thresholds=thresholds,
        outputs={
            name: OUTPUTS[part].get(name) or OUTPUTS[part]['map{}'] for name in graph.output_names
        },
        runtime=runtime,
    )
    if part == 'segmentor':
        found['align_corners'] = bool(model.align_corners)
    return found
