"""hotcoco gives pycocotools' figures."""

import json
import sys

import numpy as np
import pytest
import torch
from commands import targets
from mmdet.registry import METRICS

from mmscale.errors import UserError

FIGURES = [
    'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
    'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000',
]  # fmt: skip


def mask(box):
    """The upper left half of a box, as run lengths."""
    from pycocotools import mask as coder

    x, y, w, h = box
    return coder.frPyObjects([[x, y, x + w, y, x, y + h]], 640, 640)[0]


def figures(kind, path, results):
    """What a metric says of detections, by name."""
    metric = METRICS.build(
        dict(type=kind, ann_file=str(path), metric=['bbox', 'segm'], metric_items=FIGURES)
    )
    metric.dataset_meta = dict(classes=[f'class {i}' for i in range(1, 81)])
    samples = []
    for image in range(1, 41):
        rows = [row for row in results if row['image_id'] == image]
        boxes = np.array([row['bbox'] for row in rows])
        boxes[:, 2:] += boxes[:, :2]
        instances = dict(
            bboxes=torch.tensor(boxes),
            scores=torch.tensor([row['score'] for row in rows]),
            labels=torch.tensor([row['category_id'] - 1 for row in rows]),
            masks=[mask(row['bbox']) for row in rows],
        )
        samples.append(dict(img_id=image, ori_shape=(640, 640), pred_instances=instances))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_all_figures_of_boxes_and_masks(tmp_path):
    pytest.importorskip('hotcoco')
    annotations, results = targets()['synthetic_coco'](40, 30)
    for annotation in annotations['annotations']:
        segmentation = mask(annotation['bbox'])
        annotation['segmentation'] = {**segmentation, 'counts': segmentation['counts'].decode()}
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(annotations))
    theirs = figures('mmdet.CocoMetric', path, results)
    ours = figures('mmscale.FasterCocoMetric', path, results)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 2 * 12
    assert theirs['coco/bbox_mAP'] > 0.03
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-4), name


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'hotcoco', None)
    with pytest.raises(UserError, match=r"pip install 'mmscale\[fast-eval\]'"):
        METRICS.build(dict(type='mmscale.FasterCocoMetric'))
