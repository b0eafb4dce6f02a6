"""Speed and memory of models side by side: interleaved runs in one process.

A case is a model in a form: ``rexnet-100:fused``. The models are rows of `MODELS`, the forms
functions in `FORMS`, the project's targets rows of `TARGETS`.
"""

import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.registry import MODELS as REGISTRY
from mmengine.registry import DefaultScope
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmscale.curves import new_figure, write_figure
from mmscale.deploy import fuse
from mmscale.environment import require
from mmscale.errors import UserError
from mmscale.export.exporting import build_graph, to_onnx
from mmscale.models.layers import to_channels_last
from mmscale.running import load_config

PACKAGES = ('torch', 'timm', 'onnxruntime', 'openvino', 'pycocotools', 'faster-coco-eval')
ALLOCATOR = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'THP_MEM_ALLOC_ENABLE')
MIB = 2**20

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
    # Whole detectors, by their configs.
    'faster-rcnn-rexnet-100': 'faster_rcnn_rexnet_fpn',
    'faster-rcnn-scalenet-50': 'faster_rcnn_scalenet_fpn',
    'faster-rcnn-resnet-50': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
}


class Case(NamedTuple):
    """A model in a form."""

    model: str
    form: str

    @classmethod
    def parse(cls, text):
        """Read ``model:form``.

        Raises:
            UserError: If there is no such model or form.
        """
        case = cls(*(text.split(':') if text.count(':') == 1 else (text, 'eager')))
        if case.model not in MODELS:
            raise UserError(f'model {case.model!r} is unknown; choose from {list(MODELS)}')
        if case.form not in FORMS:
            raise UserError(f'form {case.form!r} is unknown; choose from {list(FORMS)}')
        return case

    def __str__(self):
        return f'{self.model}:{self.form}'


class Detector(torch.nn.Module):
    """A whole detector as a function of its padded images.

    Args:
        model (mmdet.models.BaseDetector): With random weights: nothing scores above its threshold,
            but there are as many proposals as the config allows.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        """Predict for (N, 3, H, W)."""
        shape = tuple(x.shape[2:])
        meta = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, pad_shape=shape)
        sample = require('mmdet.structures').DetDataSample
        samples = [sample(metainfo=dict(**meta, scale_factor=(1.0, 1.0))) for _ in range(len(x))]
        return self.model.predict(x, samples)


def build(name):
    """A model of `MODELS`, in eval mode, with weights of its own seed and nothing loaded."""
    row = MODELS[name]
    torch.manual_seed(0)
    if name.startswith('timm-'):
        model = _timm().create_model(row, features_only=True, out_indices=(1, 2, 3, 4))
    elif isinstance(row, str):
        cfg = load_config(row).model
        cfg.backbone.init_cfg = None
        # Random scores are all but equal; suppression would depend on the seed.
        cfg.test_cfg.rpn.nms.iou_threshold = 1.0
        require('mmdet.models')
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = Detector(REGISTRY.build(cfg))
    else:
        require(f'{row["type"].partition(".")[0]}.models')
        model = REGISTRY.build(dict(row))
    for key, parameter in model.named_parameters():
        if '.generator.' in key:  # as small as a SAN's after training: maps stay finite
            parameter.data *= 0.02
    model.eval()
    return model


def _timm():
    try:
        import timm
    except ImportError as error:
        raise UserError(f'the timm- models need timm ({error}): pip install timm') from error
    return timm


# Forms: a model and an example to a function that computes


def _eager(model, x):
    return model


def _channels_last(model, x):
    return to_channels_last(model)


def _fused(model, x):
    return fuse(model)


def _compiled(model, x):
    """By torch.compile, whole or, of a detector, the parts that have no loops over images."""
    if isinstance(model, Detector):
        inner = model.model
        for part in (inner.backbone, inner.neck, inner.rpn_head, inner.roi_head.bbox_head):
            part.forward = torch.compile(part.forward)
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
    model = _compiled(fuse(model).bfloat16(), x.bfloat16())
    return lambda x: model(x.bfloat16())


def _onnxruntime(model, x):
    ort = _engine('onnxruntime')
    with tempfile.TemporaryDirectory() as folder:
        path = _onnx(model, x, Path(folder))
        session = ort.InferenceSession(path, _ort_options(ort), ['CPUExecutionProvider'])
    names = [given.name for given in session.get_inputs()]
    return lambda x: session.run(None, dict(zip(names, _arrays(model, x))))


def _ort_options(ort):
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return options


def _openvino(model, x):
    openvino = _engine('openvino')
    options = {
        'INFERENCE_PRECISION_HINT': 'f32',
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = _onnx(model, x, Path(folder))
        compiled = openvino.compile_model(openvino.convert_model(path), 'CPU', options)
    return lambda x: compiled(_arrays(model, x))


def _onnx(model, x, folder):
    """Write the fused model for the shape of `x`; a detector from pixels to boxes."""
    path = folder / 'model.onnx'
    with contextlib.redirect_stdout(sys.stderr):
        if isinstance(model, Detector):
            size = tuple(x.shape[2:])
            graph = build_graph(model.model, 'detector', size)
            _engine('onnx').save(to_onnx(graph, len(x), size), path)
        else:
            torch.onnx.export(
                fuse(model), (x,), str(path), dynamo=True, external_data=False, verbose=False
            )
    return path


def _arrays(model, x):
    """What an exported model takes."""
    if not isinstance(model, Detector):
        return [x.numpy()]
    pixels = (x * 64 + 128).clamp(0, 255).byte().numpy()
    return [pixels, np.full((len(x), 2), x.shape[2:])]


def _engine(name):
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(f'the form {name} needs {name} ({error}): pip install {name}') from error


FORMS = {
    'eager': _eager,
    'channels-last': _channels_last,
    'fused': _fused,
    'compiled': lambda model, x: _compiled(fuse(model), x),
    'compiled-plain': _compiled_plain,
    'bfloat16': _bfloat16,
    'onnxruntime': _onnxruntime,
    'openvino': _openvino,
}
TRAINED = ('eager', 'channels-last', 'compiled-plain')


# Measuring


def prepare(case, shape, training=False):
    """A function without arguments that does one pass, or one training step.

    Args:
        case (Case): What to run.
        shape (Sequence[int]): Images, height and width.
        training (bool): Forward, backward and a step of SGD on random maps, in training mode.

    Raises:
        UserError: If the form cannot be trained, or a package is missing.
    """
    model, x = _model_and_images(case, shape)
    if training:
        return _training_step(case, model, x)
    with torch.no_grad():
        run = FORMS[case.form](model, x)

    def once():
        with torch.no_grad():
            run(x)
        _wait()

    return once


def _model_and_images(case, shape):
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    count, height, width = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, height, width, generator=generator).to(device)
    return build(case.model).to(device), x


def _training_step(case, model, x):
    if case.form not in TRAINED:
        raise UserError(f'{case} cannot be trained; choose from {TRAINED}')
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    run = FORMS[case.form](model, x)

    def once():
        loss = sum(y.square().mean() for y in run(x))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait()

    return once


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(cases, shape, *, training=False, rounds=9, memory=False):
    """Time cases in turns, so that what else the machine does hits all of them alike.

    Args:
        cases (Sequence[Case]): What to run.
        shape (Sequence[int]): Images, height and width.
        training (bool): Training steps instead of inference.
        rounds (int): Of which the median counts, after one to warm up.
        memory (bool): Also the peak memory, each case in a process of its own.

    Returns:
        list[dict]: For each case `case`, `shape`, `training`, `ms` (median), `best_ms` and, if
        asked for, `peak_mib`: of a child process in which the case ran twice, beyond what it held
        before; on a GPU, the most that torch had allocated. For training also `saved_mib`:
        what is held after one forward pass (see :func:`saved_bytes`).
    """
    runs = {case: prepare(case, shape, training) for case in cases}
    times = {case: [] for case in cases}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for case, run in runs.items():
            start = time.perf_counter()
            run()
            times[case].append(1000 * (time.perf_counter() - start))
    rows = []
    for case in cases:
        row = dict(case=str(case), shape=list(shape), training=training)
        row |= dict(ms=statistics.median(times[case]), best_ms=min(times[case]))
        if memory:
            row['peak_mib'] = peak_memory(case, shape, training)
            if training:
                row['saved_mib'] = _saved(case, shape) / MIB
        rows.append(row)
    return rows


def peak_memory(case, shape, training=False):
    """The peak memory of a case in MiB, in a process of its own (see :func:`measure`)."""
    code = 'import sys; from mmscale.benchmark import _print_peak; _print_peak(*sys.argv[1:])'
    command = [sys.executable, '-W', 'ignore', '-c', code, str(case), json.dumps(list(shape))]
    child = subprocess.run(
        [*command, str(int(training))], check=False, capture_output=True, text=True
    )
    if child.returncode:
        raise UserError(f'{case} failed: {child.stderr.strip().splitlines()[-1]}')
    return float(child.stdout.splitlines()[-1])


def _print_peak(case, shape, training):
    shape = json.loads(shape)
    before = _resident()
    run = prepare(Case.parse(case), shape, bool(int(training)))
    run()
    run()
    if torch.cuda.is_available():
        print(torch.cuda.max_memory_allocated() / MIB)
    else:
        print(_resident() - before)


def _resident():
    """The most that this process ever held, in MiB."""
    status = Path('/proc/self/status')
    if status.is_file():  # there a child's ru_maxrss begins with its parent's
        return int(status.read_text().partition('VmHWM:')[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # macOS counts in bytes


def _saved(case, shape):
    model, x = _model_and_images(case, shape)
    return saved_bytes(FORMS[case.form](model.train(), x), x)


class _Allocated(TorchDispatchMode):
    """Knows the storage of every tensor that was computed in its scope."""

    def __init__(self):
        super().__init__()
        self.sizes = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(outputs):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self.sizes[StorageWeakRef(storage)] = storage.nbytes()
        return outputs


def saved_bytes(model, x):
    """Bytes that are held after a forward pass: what autograd keeps, and the outputs.

    Not of a compiled model, which runs as it was written here.
    """
    with _Allocated() as allocated:
        outputs = model(x)
    before = {StorageWeakRef(t.untyped_storage()) for t in (*model.state_dict().values(), x)}
    held = [s for s in allocated.sizes if s not in before and not s.expired()]
    del outputs
    return sum(allocated.sizes[storage] for storage in held)


def machine():
    """What the numbers were measured on."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return dict(
        date=time.strftime('%Y-%m-%d'),
        processor=_processor(),
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        python=platform.python_version(),
        versions=versions,
        allocator={name: os.environ[name] for name in ALLOCATOR if name in os.environ},
    )


def _processor():
    path = Path('/proc/cpuinfo')
    if path.is_file():
        for line in path.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor()


def ceilings():
    """What the machine reaches: matrix products in GFLOP/s, copying in GB/s read and written."""
    a = torch.randn(2048, 2048)
    x, y = torch.randn(2**26), torch.empty(2**26)
    products, copies = [], []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        middle = time.perf_counter()
        y.copy_(x)
        products.append(middle - start)
        copies.append(time.perf_counter() - middle)
    return dict(
        matmul_gflops=2 * 2048**3 / min(products) / 1e9, copy_gbs=2 * y.nbytes / min(copies) / 1e9
    )


# Targets


class Target(NamedTuple):
    """A ratio that the project wants to reach.

    Attributes:
        ours, theirs (tuple[str]): Cases; of several the fastest counts.
        at_least (float): theirs / ours.
        shape (tuple[int]): Images, height and width.
        training (bool): Training steps.
        of (str): 'ms' or 'peak_mib'.
    """

    ours: tuple
    theirs: tuple
    at_least: float
    shape: tuple = (1, 800, 1216)
    training: bool = False
    of: str = 'ms'


STEP: dict = dict(shape=(16, 224, 224), training=True)
REXNET = ('rexnet-100:fused', 'rexnet-100:compiled')
EXPORTED = ('onnxruntime', 'openvino')
TARGETS = {
    'rexnet-timm-compiled': Target(REXNET, ('timm-rexnet-100:compiled-plain',), 1.5),
    'rexnet-timm-eager': Target(REXNET, ('timm-rexnet-100:eager',), 5.3),
    'rexnet-exported': Target(
        tuple(f'rexnet-100:{form}' for form in EXPORTED),
        tuple(f'timm-rexnet-100:{form}' for form in EXPORTED),
        1 / 1.02,
    ),
    'scalenet-eager': Target(
        ('scalenet-50:fused', 'scalenet-50:compiled'), ('scalenet-50:eager',), 2.5
    ),
    **{
        f'scalenet-resnet-{form}': Target(
            (f'scalenet-50:{form}',), (f'resnet-50:{form}',), 1 / 1.05
        )
        for form in ('fused', 'compiled', *EXPORTED)
    },
    'rexnet-training': Target(
        ('rexnet-100:channels-last',), ('timm-rexnet-100:channels-last',), 1.1, **STEP
    ),
    'rexnet-training-memory': Target(
        ('rexnet-100:channels-last',), ('timm-rexnet-100:channels-last',), 1, **STEP, of='peak_mib'
    ),
    'scalenet-training': Target(
        ('scalenet-50:channels-last',), ('scalenet-50:eager',), 1.5, **STEP
    ),
    'scalenet-training-memory': Target(
        ('scalenet-50:channels-last',), ('scalenet-50:eager',), 1 / 0.75, **STEP, of='peak_mib'
    ),
    **{
        f'detector-{name}': Target(
            tuple(f'faster-rcnn-rexnet-100:{form}' for form in ours),
            (f'faster-rcnn-resnet-50:{theirs}',),
            ratio,
            (1, 800, 1344),
        )
        for name, ours, theirs, ratio in (
            ('plain', ('eager',), 'eager', 1.2),
            ('fused', ('fused',), 'fused', 1.4),
            ('fused-plain', ('fused',), 'eager', 1.9),
            ('best-plain', ('fused', 'compiled', *EXPORTED), 'eager', 3),
        )
    },
}


def check_target(name, rounds=9):
    """Measure a target.

    Returns:
        dict: `target`, `ratio`, `at_least`, `met` and the `rows` that were measured.

    Raises:
        UserError: If there is no such target, or a package is missing.
    """
    if name in SPECIAL:
        return dict(target=name, **SPECIAL[name]())
    if name not in TARGETS:
        raise UserError(f'target {name!r} is unknown; choose from {[*TARGETS, *SPECIAL]}')
    target = TARGETS[name]
    cases = [Case.parse(text) for text in (*target.ours, *target.theirs)]
    rows = measure(
        cases,
        target.shape,
        training=target.training,
        rounds=rounds,
        memory=target.of == 'peak_mib',
    )
    values = [row[target.of] for row in rows]
    count = len(target.ours)
    ratio = min(values[count:]) / min(values[:count])
    return dict(
        target=name, ratio=ratio, at_least=target.at_least, met=ratio >= target.at_least, rows=rows
    )


def san_fixed():
    """A SAN fixed at one resolution against mmdet's plain network of the same weights."""
    san = build('san-resnet-50')
    x = torch.randn(4, 3, 224, 224)
    runs = {'plain': fuse(san.plain(224)), 'san': fuse(san)}
    times = {name: [] for name in runs}
    with torch.no_grad():
        for turn in range(16):
            for name, model in runs.items():
                start = time.perf_counter()
                model(x)
                if turn:
                    times[name].append(1000 * (time.perf_counter() - start))
    plain, ours = (statistics.median(times[name]) for name in runs)
    ratio = plain / ours
    return dict(ratio=ratio, at_least=1 / 1.02, met=ratio >= 1 / 1.02, plain_ms=plain, san_ms=ours)


def san_switching():
    """What it takes to go from one visited resolution of a SAN to another, in ms; at most 1."""
    fused = fuse(build('san-resnet-50'))
    resolutions = fused.san.resolutions
    for resolution in resolutions:
        fused.at(resolution)
    start = time.perf_counter()
    for _ in range(100):
        for resolution in resolutions:
            fused.at(resolution)
    ms = 1000 * (time.perf_counter() - start) / (100 * len(resolutions))
    return dict(ms=ms, at_most=1, met=ms <= 1)


def synthetic_coco(images, detections, seed=0):
    """Annotations and detections such as a middling detector has on COCO's 80 classes.

    Args:
        images, detections (int): How many images, and detections in each.
        seed (int): Of the random numbers.

    Returns:
        tuple[dict, list]: Contents of an annotation file, and of a results file.
    """
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, images + 1):
        count = int(rng.integers(0, 15))
        sides = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
        boxes = np.concatenate([rng.uniform(0, 300, (count, 2)), sides], 1)
        labels = rng.integers(1, 81, count)
        for box, label in zip(boxes, labels.tolist()):
            crowd = int(rng.random() < 0.02)
            truth.append(
                dict(
                    id=len(truth) + 1,
                    image_id=image,
                    category_id=label,
                    bbox=box.tolist(),
                    area=float(box[2] * box[3] * 0.6),
                    iscrowd=crowd,
                )
            )
        for _ in range(detections):
            near = count and rng.random() < 0.3
            pick = int(rng.integers(count)) if near else 0
            box = boxes[pick] if near else rng.uniform(5, 300, 4)
            label = int(labels[pick]) if near and rng.random() < 0.8 else int(rng.integers(1, 81))
            found.append(
                dict(
                    image_id=image,
                    category_id=label,
                    bbox=(box * rng.uniform(0.85, 1.15, 4)).tolist(),
                    score=float(rng.random() ** (1 if near else 3)),
                )
            )
    pictures = [dict(id=i, width=640, height=640, file_name='') for i in range(1, images + 1)]
    categories = [dict(id=i, name=f'class {i}') for i in range(1, 81)]
    return dict(images=pictures, annotations=truth, categories=categories), found


def coco_evaluation(images=5000, detections=100):
    """COCO evaluation by faster-coco-eval against pycocotools: 4 times faster, all figures equal.

    Timed from the loaded annotations to the figures, the detections' loading included.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, found = synthetic_coco(images, detections)
    truth = COCO()
    truth.dataset = annotations
    truth.createIndex()
    seconds, figures = {}, {}
    for name, evaluation in (
        ('pycocotools', COCOeval),
        ('faster', _engine('faster_coco_eval').COCOeval_faster),
    ):
        start = time.perf_counter()
        run = evaluation(truth, truth.loadRes([dict(row) for row in found]), 'bbox')
        run.evaluate()
        run.accumulate()
        run.summarize()
        seconds[name] = time.perf_counter() - start
        figures[name] = np.array(run.stats[:12], dtype=float)
    difference = float(np.abs(figures['pycocotools'] - figures['faster']).max())
    ratio = seconds['pycocotools'] / seconds['faster']
    return dict(
        ratio=ratio, at_least=4, met=ratio >= 4 and difference < 1e-4, difference=difference,
        pycocotools_s=seconds['pycocotools'], faster_s=seconds['faster'],
    )  # fmt: skip


SPECIAL = {
    'san-fixed': san_fixed,
    'san-switching': san_switching,
    'coco-evaluation': coco_evaluation,
}


def run(cases, shapes=None, *, targets=(), training=False, memory=False, rounds=9):
    """What ``tools/benchmark.py`` prints.

    Args:
        cases (Sequence[str]): ``model:form``, or the model alone for eager.
        shapes (Sequence[str], optional): ``NxHxW``. Default: ``16x224x224``.
        targets (Sequence[str]): Names of targets, or 'all'.
        training, memory, rounds: As in :func:`measure`.

    Returns:
        dict: `machine`, `rows` (see :func:`measure`), `targets` (see :func:`check_target`).

    Raises:
        UserError: If a name or a shape is wrong, or a package is missing.
    """
    if not cases and not targets:
        raise UserError('nothing to do: name a model, such as rexnet-100:fused, or a --target')
    cases = [Case.parse(text) for text in cases]
    shapes = [_shape(text) for text in shapes or ['16x224x224']]
    if 'all' in targets:
        targets = [*TARGETS, *SPECIAL]
    rows = []
    for shape in shapes if cases else ():
        rows += measure(cases, shape, training=training, rounds=rounds, memory=memory)
    checked = [check_target(name, rounds) for name in targets]
    return dict(machine=dict(**machine(), **ceilings()), rows=rows, targets=checked)


def _shape(text):
    parts = text.split('x')
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(f'--shape {text!r} must be NxHxW, such as 16x224x224')
    return tuple(map(int, parts))


def draw(rows, out):
    """Bars of the times, one for each row of :func:`measure`, or lines where shapes vary."""
    cases = list(dict.fromkeys(row['case'] for row in rows))
    shapes = list(dict.fromkeys(tuple(row['shape']) for row in rows))
    figure, [[axes]] = new_figure(1)
    if len(shapes) == 1:
        axes.barh(cases, [row['ms'] for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel('ms')
        axes.set_title('x'.join(map(str, shapes[0])))
    else:
        for case in cases:
            own = [row for row in rows if row['case'] == case]
            megapixels = [row['shape'][0] * row['shape'][1] * row['shape'][2] / 1e6 for row in own]
            axes.plot(megapixels, [row['ms'] for row in own], marker='o', label=case)
        axes.set_xlabel('megapixels of a batch')
        axes.set_ylabel('ms')
        axes.legend()
    write_figure(figure, out)
