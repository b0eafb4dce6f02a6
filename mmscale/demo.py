"""The whole road on a laptop: draw a data set, train a detector on it, evaluate, show it."""

import time
from pathlib import Path

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table

from mmscale.curves import draw_curve, write_png
from mmscale.datasets.shapes import make_shapes
from mmscale.errors import UserError
from mmscale.run_weights import newest_checkpoint
from mmscale.running import load_config, train

CONFIG = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
PRETRAINING = 'shapes/rexnet-100_shapes'
# pycocotools' twelve figures, in its order.
FIGURES = (
    ('AP', 'IoU 0.50:0.95'),
    ('AP50', 'IoU 0.50'),
    ('AP75', 'IoU 0.75'),
    ('AP_S', 'small objects'),
    ('AP_M', 'medium objects'),
    ('AP_L', 'large objects'),
    ('AR_1', '1 detection an image'),
    ('AR_10', '10 detections an image'),
    ('AR_100', '100 detections an image'),
    ('AR_S', 'small objects'),
    ('AR_M', 'medium objects'),
    ('AR_L', 'large objects'),
)


def run_demo(config=CONFIG, pretraining=PRETRAINING, work_dir='work_dirs/demo', overrides=None):
    """Make the shapes set, train on it, evaluate, and draw; go on where an earlier run stopped.

    Args:
        config (str): A detector of configs/shapes, by path or bare name. It says where the data
            set goes.
        pretraining (str, optional): The classifier of configs/shapes with the same backbone, which
            is trained first and handed on; None trains the detector from scratch.
        work_dir (str): Where everything else goes.
        overrides (dict, optional): For the detector, as in :func:`mmscale.running.load_config`.

    Returns:
        dict[str, float]: COCO's twelve figures by name (see `FIGURES`).

    Raises:
        UserError: If the two configs do not fit each other.
    """
    console, work_dir, overrides = Console(), Path(work_dir), dict(overrides or {})
    cfg = load_config(config, overrides)
    if pretraining and not cfg.model.backbone.type.startswith('mmscale.'):
        raise UserError(f'the backbone of {config} is not that of {pretraining}: --from-scratch')
    console.rule('1/4 data')
    make_shapes(cfg.data_root)
    start = time.time()
    if pretraining:
        console.rule('2/4 pretraining: a classifier of small crops')
        train(pretraining, work_dir=work_dir / 'classifier', resume='auto')
        classifier = newest_checkpoint(work_dir / 'classifier')
        overrides['model.backbone.init_cfg.checkpoint'] = classifier
    console.rule('3/4 the detector: training and evaluation')
    # The last evaluation of the training run is the demo's.
    overrides['val_evaluator.outfile_prefix'] = str(work_dir / 'results')
    train(config, work_dir=work_dir, resume='auto', overrides=overrides)
    minutes = (time.time() - start) / 60
    console.rule('4/4 pictures')
    figures = coco_figures(cfg.test_evaluator.ann_file, work_dir / 'results.bbox.json')
    checkpoint = newest_checkpoint(work_dir)
    predictions = draw_predictions(cfg, checkpoint, work_dir / 'predictions.png')
    curve = draw_curve(work_dir, work_dir / 'training_curve.png')
    table = Table('figure', 'of', 'value', title=f'Box figures after {minutes:.1f} minutes')
    for name, meaning in FIGURES:
        table.add_row(name, meaning, f'{figures[name]:.3f}')
    console.print(table)
    console.print(f'Predictions (right) beside the ground truth: {predictions}', soft_wrap=True)
    console.print(f'Training curve: {curve}', soft_wrap=True)
    console.print(f'To train anew, remove {work_dir} first.', soft_wrap=True)
    return figures


def coco_figures(annotations, results, kind='bbox'):
    """COCO's twelve figures of a results file, by the names of `FIGURES`."""
    truth = COCO(str(annotations))
    evaluation = COCOeval(truth, truth.loadRes(str(results)), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {name: float(value) for (name, _), value in zip(FIGURES, evaluation.stats)}


def draw_predictions(cfg, checkpoint, out, count=6, zoom=2):
    """Draw the first test images, in rows: ground truth on the left, predictions on the right.

    Args:
        cfg (mmengine.Config): A detector's config, whose test pipeline loads the annotations after
            resizing (as mmdet's do), so that they are in pixels of the file.
        checkpoint (str | Path): Its weights.
        out (str | Path): The PNG to write.
        count (int): How many images.
        zoom (int): Enlarges the images, so that the labels can be read.

    Returns:
        Path: Where the picture is.
    """
    import mmcv
    from mmdet.apis import init_detector
    from mmdet.registry import DATASETS, VISUALIZERS
    from mmengine.dataset import pseudo_collate

    model = init_detector(cfg, str(checkpoint), device='cpu')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    visualizer = VISUALIZERS.build(dict(type='DetLocalVisualizer', name='predictions'))
    visualizer.dataset_meta = model.dataset_meta
    rows = []
    for index in range(min(count, len(dataset))):
        with torch.no_grad():
            sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        for instances in (sample.gt_instances, sample.pred_instances):
            instances.bboxes = torch.as_tensor(instances.bboxes) * zoom
        image = mmcv.imread(sample.img_path, channel_order='rgb')
        image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        visualizer.add_datasample('row', image, sample, pred_score_thr=0.5)
        rows.append(visualizer.get_image())
    if len(rows) % 2 == 0:
        rows = [np.concatenate(rows[i : i + 2], 1) for i in range(0, len(rows), 2)]
    return write_png(out, np.concatenate(rows)[..., ::-1])
