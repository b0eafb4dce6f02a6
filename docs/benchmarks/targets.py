"""The ratios that the project wants to reach, each measured by its name.

``tools/benchmark.py --target NAME`` reads this file; an installed package has no targets.
docs/notes/speed.md says what was measured, when and where.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np
import torch

import mmscale
from mmscale.benchmark.forms import OUTSIDE, Case, build
from mmscale.benchmark.measuring import measure
from mmscale.deploy import fuse
from mmscale.engine.building import build_model
from mmscale.engine.config import load_config
from mmscale.errors import UserError
from mmscale.evaluation.hot import hot_evaluation


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
DEPLOYED = ('fused', 'native', 'compiled', *OUTSIDE)
REXNET = ('rexnet-100:fused', 'rexnet-100:native', 'rexnet-100:compiled')
ANY_REXNET = tuple(f'rexnet-100:{form}' for form in DEPLOYED)
TIMM_EXPORTED = tuple(f'timm-rexnet-100:{form}' for form in OUTSIDE)
TARGETS = {
    'rexnet-timm-compiled': Target(REXNET, ('timm-rexnet-100:compiled-plain',), 1.6),
    'rexnet-timm-frozen': Target(REXNET, ('timm-rexnet-100:compiled',), 1.4),
    'rexnet-timm-exported': Target(ANY_REXNET, TIMM_EXPORTED, 1.3),
    'rexnet-small': Target(
        ANY_REXNET, ('timm-rexnet-100:compiled', *TIMM_EXPORTED), 1.3, (1, 224, 224)
    ),
    'rexnet-timm-eager': Target(REXNET, ('timm-rexnet-100:eager',), 5.3),
    'rexnet-exported': Target(
        tuple(f'rexnet-100:{form}' for form in OUTSIDE), TIMM_EXPORTED, 1 / 1.02
    ),
    'scalenet-eager': Target(
        ('scalenet-50:fused', 'scalenet-50:native', 'scalenet-50:compiled'),
        ('scalenet-50:eager',),
        2.5,
    ),
    **{
        f'scalenet-resnet-{form}': Target(
            (f'scalenet-50:{form}',),
            (f'resnet-50:{form}',),
            1.03,
        )
        for form in DEPLOYED
    },
    **{
        f'scalenet-resnet-best-{name}': Target(
            tuple(f'scalenet-50:{form}' for form in DEPLOYED),
            tuple(f'resnet-50:{form}' for form in DEPLOYED),
            1.03,
            shape,
        )
        for name, shape in (('image', (1, 800, 1216)), ('batch', (16, 224, 224)))
    },
    'rexnet-training': Target(
        ('rexnet-100:native',), ('timm-rexnet-100:channels-last',), 1.3, **STEP
    ),
    'rexnet-training-memory': Target(
        ('rexnet-100:native',), ('timm-rexnet-100:channels-last',), 1, **STEP, of='peak_mib'
    ),
    'scalenet-training': Target(('scalenet-50:native',), ('scalenet-50:eager',), 1.5, **STEP),
    'scalenet-training-memory': Target(
        ('scalenet-50:native',), ('scalenet-50:eager',), 1 / 0.75, **STEP, of='peak_mib'
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
            ('best-plain', DEPLOYED, 'eager', 3),
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


# A child that does a training step of a detector for each line it reads, and prints its seconds.
STEPS = """
import sys, time
import torch
from mmscale.benchmark.forms import build
from mmscale.deploy import to_channels_last
from mmscale.deploy.fusing import use_row_roi_aligns
from mmscale.engine.tuning import keep_memory

model = build('faster-rcnn-rexnet-100').train()
if sys.argv[1] == 'tuned':
    keep_memory()
    use_row_roi_aligns(model)
    to_channels_last(model)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
images = torch.randn(4, 3, 240, 320)
for line in sys.stdin:
    start = time.perf_counter()
    model(images)[0].backward()
    optimizer.step()
    optimizer.zero_grad()
    print('seconds', time.perf_counter() - start, flush=True)
"""


def training_default(rounds=5):
    """A detector's step as `mmscale train` does it on a CPU, against one without its choices."""
    children = {
        name: subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', STEPS, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for name in ('plain', 'tuned')
    }  # fmt: skip
    times = {name: [] for name in children}
    for _ in range(rounds + 1):  # the first is not counted
        for name, child in children.items():
            child.stdin.write('step\n')
            child.stdin.flush()
            lines = iter(child.stdout.readline, '')
            times[name].append(next(float(x.split()[1]) for x in lines if x.startswith('sec')))
    for child in children.values():
        child.communicate()
    plain, tuned = (statistics.median(times[name][1:]) for name in children)
    ratio = plain / tuned
    return dict(ratio=ratio, at_least=1.5, met=ratio >= 1.5, plain_s=plain, tuned_s=tuned)


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
    """COCO evaluation by hotcoco against pycocotools: 4 times faster, all figures equal.

    Timed from annotations and detections in memory to the figures, their conversion included.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, found = synthetic_coco(images, detections)
    truth = COCO()
    truth.dataset = annotations
    truth.createIndex()
    seconds, figures = {}, {}
    for name, evaluation in (
        ('pycocotools', lambda rows: COCOeval(truth, truth.loadRes(rows), 'bbox')),
        ('hotcoco', lambda rows: hot_evaluation(truth, rows, 'bbox', 'coco-evaluation')),
    ):
        rows = [dict(row) for row in found]  # which pycocotools changes
        start = time.perf_counter()
        run = evaluation(rows)
        run.evaluate()
        run.accumulate()
        run.summarize()
        seconds[name] = time.perf_counter() - start
        figures[name] = np.array(run.stats[:12], dtype=float)
    difference = float(np.abs(figures['pycocotools'] - figures['hotcoco']).max())
    ratio = seconds['pycocotools'] / seconds['hotcoco']
    return dict(
        ratio=ratio, at_least=4, met=ratio >= 4 and difference < 1e-4, difference=difference,
        pycocotools_s=seconds['pycocotools'], hotcoco_s=seconds['hotcoco'],
    )  # fmt: skip


def predict_overhead(calls=5):
    """What `predict` takes beyond the test pipeline and the model, in ms a picture; at most 2.

    A classifier, a detector of boxes and one of masks with random weights, which find a hundred
    objects in each picture of 640 x 480 px. In-call timers, as the models' own times vary by more.
    """
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    rows = {}
    for config in (
        'classification/rexnet-100_in1k',
        'faster_rcnn_rexnet_fpn',
        'mask_rcnn_rexnet_fpn',
    ):
        cfg = load_config(config)
        with tempfile.TemporaryDirectory() as folder:
            weights = f'{folder}/random.pth'
            torch.save(dict(state_dict=build_model(cfg).state_dict()), weights)
            model = mmscale.load(config, weights=weights, device='cpu')
        spent = []
        for owner, name in ((model.model, 'test_step'), (model, '_pipeline')):
            setattr(owner, name, _timed(getattr(owner, name), spent))
        beyond, own = [], []
        for turn in range(calls + 1):
            spent.clear()
            start = time.perf_counter()
            model.predict(picture, threshold=0)
            if turn:
                own.append(1000 * sum(spent))
                beyond.append(1000 * (time.perf_counter() - start) - own[-1])
        rows[config.rpartition('/')[2]] = (statistics.median(beyond), statistics.median(own))
    worst = max(ms for ms, _ in rows.values())
    result = dict(ms=worst, at_most=2, met=worst <= 2)
    for name, (ms, own) in rows.items():
        result |= {f'{name} ms': ms, f'{name} own ms': own}
    return result


def _timed(function, spent):
    """A function that notes what it takes, in s."""

    def timed(*args):
        start = time.perf_counter()
        result = function(*args)
        spent.append(time.perf_counter() - start)
        return result

    return timed


SPECIAL = {
    'predict-overhead': predict_overhead,
    'san-fixed': san_fixed,
    'san-switching': san_switching,
    'coco-evaluation': coco_evaluation,
    'training-default': training_default,
}
