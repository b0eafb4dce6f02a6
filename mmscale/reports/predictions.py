"""What a detector found: pictures beside the ground truth."""

from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config

from mmscale.registry import SCOPE
from mmscale.utils.configs import test_set
from mmscale.utils.figures import write_png


def draw_predictions(
    cfg: Config, checkpoint: str | Path, out: str | Path, count: int = 6, zoom: int = 2
) -> Path:
    """Draw the first test images, in rows: ground truth on the left, predictions on the right.

    Args:
        cfg (mmengine.Config): A detector's config, whose test pipeline loads the annotations after
            resizing (as mmdet's do), so that they are in pixels of the file. Of sets that are
            wrapped or joined the first is drawn; without a test set the validation's.
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

    plain = deepcopy(cfg)
    plain.test_dataloader = dict(dataset=test_set(cfg))  # which init_detector reads too
    # By the scheme under which mmscale.checkpoints reads it: mmengine would run code in it.
    model = init_detector(plain, f'{SCOPE}:{checkpoint}', device='cpu')
    dataset = DATASETS.build(plain.test_dataloader.dataset)
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
