"""From a config and a checkpoint to a file that was compared with PyTorch."""

import hashlib
import inspect
import json
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch

from mmscale.checkpoints import find_file
from mmscale.checkpoints.reading import sha256
from mmscale.environment import require_optional
from mmscale.errors import UserError
from mmscale.export.files import FORMAT, KEY, SUFFIXES, ExportedFile
from mmscale.files import check_out
from mmscale.registry import backbone_class, type_name
from mmscale.version import __version__

PARTS = ('detector', 'classifier', 'neck', 'backbone')
OPSET = 18  # RoiAlign with half_pixel came with 16; 18 is what torch writes by itself
DYNAMIC = 'dynamic'
SHOWN = 3  # differences that a message lists
SMALLEST = 64  # side of a dynamic image
TRACED = (256, 320)  # with which a graph of dynamic size is traced
# What the outputs of each part mean, as the file says it.
OUTPUTS = {
    'backbone': {'map{}': 'float32 (N, C, H / stride, W / stride), from fine to coarse'},
    'neck': {'map{}': 'float32 (N, C, H / stride, W / stride), from fine to coarse'},
    'classifier': {'logits': 'float32 (N, classes), before the softmax'},
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
    config,
    checkpoint,
    out,
    *,
    part=None,
    shape=None,
    batch=None,
    images=None,
    int8=False,
    trust_checkpoint=False,
    overrides=None,
):
    """Write a model as an ONNX or OpenVINO file, if it computes there what it does in PyTorch.

    Args:
        config (str): Path or bare name.
        checkpoint (str): As in :func:`mmscale.running.test`.
        out (str): NAME.onnx; or NAME.xml, which has NAME.bin beside it.
        part (str, optional): 'detector', 'classifier', 'neck' (with the backbone) or 'backbone'.
            Default: the whole of what the config describes.
        shape (str | Sequence[int], optional): Height and width of the images, or 'dynamic'.
            Default: what a classifier's test pipeline gives, and 'dynamic' for detectors.
        batch (int, optional): A fixed number of images. Default: any number.
        images (Sequence[str], optional): Pictures and folders of such to compare on. Default: the
            first of the config's test set, or shapes drawn for it.
        int8 (bool): Once the file is compared, quantise it to 8 bits with 100 images of the
            config's training set. What that costs is said, and no bound is set for it.
        trust_checkpoint, overrides: As in :func:`mmscale.running.test`.

    Returns:
        Written: The file.

    Raises:
        UserError: If an argument does not fit, or what the file computes differs. Nothing is
            written then.
    """
    from mmscale.export.parity import compare, pictures_for, spread
    from mmscale.export.quantization import COUNT, quantise
    from mmscale.inference import list_pictures, load_model
    from mmscale.running import load_config

    out = Path(out)
    _check_tools(out)
    cfg = load_config(config, overrides)
    part = part or ('classifier' if cfg.get('default_scope') == 'mmpretrain' else 'detector')
    size = image_size(cfg, part, shape)
    if images is not None:
        list_pictures(images)  # minutes before they are compared
    if batch is not None and batch < 1:
        raise UserError(f'--batch {batch} must be 1 or more')
    model = load_model(cfg, checkpoint, trust=trust_checkpoint)
    calibration = spread(_training_set(cfg), COUNT) if int8 else None
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
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'{out.stem}.tmp-') as folder:
        aside = Path(folder, out.name)
        write(to_onnx(graph, batch, size), meta, aside)
        file, paths = ExportedFile(aside), pictures_for(cfg, images, Path(folder))
        compared, wrong = compare(model, file, paths)
        if wrong:
            shown = '; '.join(wrong[:SHOWN])
            raise UserError(
                f'{out.name} is not kept: it computes something else than PyTorch. {compared}; '
                f'{len(wrong)} differences: {shown}'
            )
        if int8:
            aside = Path(folder, '8', out.name)
            aside.parent.mkdir()
            quantise(file, model.cfg, calibration, aside)
            said, wrong = compare(model, ExportedFile(aside), paths)
            compared += f'. In 8 bits: {said}; {len(wrong)} beyond the bounds of float32'
        # The .bin comes before the .xml.
        for path in sorted(p for p in aside.parent.iterdir() if p.stem == out.stem):
            path.replace(out.with_name(path.name))
    return Written(out, compared)


def _check_tools(out):
    if out.suffix not in SUFFIXES:
        raise UserError(f'{str(out)!r} must be NAME.onnx, or NAME.xml for OpenVINO')
    check_out(out)
    if 'custom_translation_table' not in inspect.signature(torch.onnx.export).parameters:
        raise UserError(
            f'exporting needs the exporter of torch 2.6 or later (tested with 2.11), not torch '
            f'{torch.__version__}. A checkpoint may be exported in another environment than it was '
            'trained in; the file needs no torch'
        )
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        require_optional(module, 'exporting')
    if out.suffix == '.xml':
        require_optional('openvino', f'writing {out.name}')


def _training_set(cfg):
    from mmscale.export.parity import data_set

    require_optional('nncf', '--int8')
    try:
        return data_set(cfg, 'train')
    except (OSError, RuntimeError) as error:
        raise UserError(f'--int8 needs pictures of the training set: {error}') from error


def _digest(cfg):
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def image_size(cfg, part, shape):
    """Height and width that a file takes, or None for any.

    Args:
        cfg (mmengine.Config): The whole config.
        part (str): One of `PARTS`.
        shape (str | Sequence[int], optional): As in :func:`export`.

    Raises:
        UserError: If that is no shape, or does not suit the part.
    """
    of_mmpretrain = cfg.get('default_scope') == 'mmpretrain'
    suit = ('classifier', 'backbone') if of_mmpretrain else ('detector', 'neck', 'backbone')
    if part not in suit:
        raise UserError(f'--part {part!r} does not suit this config; choose from {suit}')
    if shape is None and of_mmpretrain:
        shape = _last_size(cfg.test_dataloader.dataset.pipeline)
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


def _last_size(pipeline):
    """The size that a pipeline ends with; None if it is that of the pictures."""
    from mmscale.resolutions import SIZES

    for step in reversed(pipeline):
        for key in SIZES:
            # An edge, or a size to fit into, says nothing about the other side.
            if key in step and type_name(step['type']) in ('CenterCrop', 'Resize'):
                given = step[key]
                return tuple(given)[::-1] if isinstance(given, (tuple, list)) else (given, given)
    return None


def fit_pipeline(cfg, size):
    """Have a test pipeline give images of a fixed size, where it can by its own transforms.

    Args:
        cfg (mmengine.Config): It is changed: a classifier's sizes are scaled, a detector's bound is
            lowered to the frame.
        size (tuple[int], optional): Height and width; None leaves everything as it is.
    """
    from mmscale.resolutions import pipeline_at

    dataset = cfg.test_dataloader.dataset
    if size is None:
        return
    if cfg.default_scope == 'mmpretrain':
        if _last_size(dataset.pipeline) not in (None, size):
            dataset.pipeline = pipeline_at(dataset.pipeline, min(size))
        return
    for step in dataset.pipeline:
        if isinstance(step.get('scale'), tuple) and step.get('keep_ratio'):
            bounds = zip(sorted(step.scale), sorted(size))
            step.scale = tuple(min(bound) for bound in bounds)[::-1]


def build_graph(model, part, size):
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
    from mmscale.deploy import fuse
    from mmscale.export import graphs

    if part == 'detector':
        graphs.check_two_stage(model)
    smallest = check_sizes(model, size)
    if part in ('detector', 'neck') and not getattr(model, 'with_neck', False):
        raise UserError('this detector has no neck: --part backbone')
    model = fuse(fixed_resolution(model, size))
    if part == 'classifier':
        graph, names = graphs.Classifier(model), ['logits']
    elif part == 'detector':
        graph = graphs.TwoStage(model, fixed=size is not None)
        names = ['boxes', 'scores', 'labels', 'masks'][: 4 if model.roi_head.with_mask else 3]
    else:
        graph, names = graphs.Maps(model, neck=part == 'neck'), None
    graph.input_names = ['images', 'sizes'] if part == 'detector' else ['images']
    graph.smallest = smallest
    graph.eval().requires_grad_(False)
    if names is None:
        with torch.no_grad():
            maps = graph(torch.zeros(1, 3, *(size or TRACED), dtype=torch.uint8))
        names = [f'map{index}' for index in range(len(maps))]
    graph.output_names = names
    return graph


def check_sizes(model, size):
    """The least side of the images that a file can take.

    Raises:
        UserError: If the model cannot take images of that size, or of any size.
    """
    from mmscale.models.backbones.scalenet import ScaleBranch

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


def fixed_resolution(model, size):
    """A SAN as the plain network of its resolution, which is fixed; another model as it is.

    Raises:
        UserError: If nothing says which resolution.
    """
    from mmscale.models.backbones.san import SAN

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


def describe(model, graph, part, size, batch):
    """What a file says about itself beside where it comes from."""
    runtime, normalise = model.cfg.to_dict(), graph.normalise
    thresholds = None
    if part == 'detector':
        cfg = model.roi_head.test_cfg
        thresholds = dict(score=cfg.score_thr, nms=cfg.nms.iou_threshold)
        if model.roi_head.with_mask:
            thresholds['mask'] = cfg.mask_thr_binary
    return dict(
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


def write(model, meta, path):
    """Write a model of :func:`to_onnx` as a file, ONNX or OpenVINO by its suffix.

    Args:
        model (onnx.ModelProto): The model.
        meta (dict): What the file is to say of itself.
        path (Path): NAME.onnx or NAME.xml.
    """
    import onnx

    if path.suffix == '.onnx':
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, json.dumps(meta)
        onnx.save(model, path)
        return
    import openvino

    plain = path.with_suffix('.onnx')
    onnx.save(model, plain)
    converted = openvino.convert_model(plain)
    converted.set_rt_info(json.dumps(meta), [KEY])
    openvino.save_model(converted, path, compress_to_fp16=False)
    plain.unlink()


def to_onnx(graph, batch=None, size=None):
    """A graph of :func:`build_graph` in ONNX, with operators of the standard only.

    Args:
        graph (nn.Module): The graph.
        batch (int, optional): A fixed number of images. Default: any.
        size (tuple[int], optional): A fixed height and width. Default: any.

    Returns:
        onnx.ModelProto: The model.
    """
    from mmscale.export.operators import translations

    count = batch or 2  # torch.export takes a 1 for a number that never changes
    images = torch.zeros(count, 3, *(size or TRACED), dtype=torch.uint8)
    dims = {0: torch.export.Dim('batch')} if batch is None else {}
    sides = {}
    if size is None:
        sides = {
            axis: torch.export.Dim(name, min=graph.smallest)
            for axis, name in ((2, 'height'), (3, 'width'))
        }
    inputs, dynamic = (images,), {'images': {**dims, **sides}}
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
