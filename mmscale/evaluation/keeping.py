"""What a report needs of a test, beside the figures: kept in files while the test runs.

Each class is a metric without figures, which mmengine feeds as it does the others, in one process
or in several.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric

from mmscale.errors import UserError
from mmscale.utils.files import written_aside

PREFIX = 'kept'
MOST_ANSWERS = 5  # classes of a picture that are kept of a classifier
MOST_MAPS = 24  # the worst pictures of a segmentor, whose maps are kept


def write_json(path: str | Path, content: Any) -> Path:
    """Write a JSON file, whole or not at all."""
    with written_aside(path) as temporary:
        temporary.write_text(json.dumps(content) + '\n', encoding='utf-8')
    return Path(path)


class KeptPictures(BaseMetric):
    """Where the pictures of a detector's test lie, by the numbers that its results have.

    Args:
        folder (str | Path): ``pictures.json`` is written there: paths by number.
    """

    default_prefix = PREFIX

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the paths of a batch."""
        self.results += [(sample['img_id'], str(sample['img_path'])) for sample in data_samples]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there are no figures."""
        write_json(self.folder / 'pictures.json', {str(number): path for number, path in results})
        return {}


class KeptAnswers(BaseMetric):
    """What a classifier takes every picture for.

    Args:
        folder (str | Path): ``answers.json`` is written there: one object for each picture with
            its `path`, its class (`truth`), the `labels` that are likeliest and their `scores`.

    Raises:
        UserError: While it runs, if a picture has several classes.
    """

    default_prefix = PREFIX

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the likeliest classes of a batch."""
        for sample in data_samples:
            truth = sample['gt_label'].flatten().tolist()
            if len(truth) != 1:
                raise UserError(
                    f'--report: {sample.get("img_path")!r} has {len(truth)} classes; only '
                    'classifiers of one class a picture have a report: test without it'
                )
            scores = sample['pred_score']
            best, labels = scores.topk(min(MOST_ANSWERS, len(scores)))
            self.results.append(
                dict(
                    path=str(sample.get('img_path', '')),
                    truth=truth[0],
                    labels=labels.tolist(),
                    scores=[round(score, 6) for score in best.tolist()],
                )
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there are no figures."""
        write_json(self.folder / 'answers.json', results)
        return {}


class KeptMaps(BaseMetric):
    """How many pixels of each class a segmentor takes for each class, by picture.

    Args:
        folder (str | Path): ``pixels.json`` is written there: one object for each picture with its
            `path` and its `counts`, rows of class, class taken for, and pixels. The worst pictures
            have their maps beside it, named in `maps`: ``maps/N.truth.png`` and
            ``maps/N.found.png``, with the number of the class of every pixel.
        ignored (int): The number of pixels that do not count.
    """

    default_prefix = PREFIX

    def __init__(self, folder: str | Path, ignored: int = 255) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.ignored = ignored

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch."""
        classes = len((self.dataset_meta or {})['classes'])
        for sample in data_samples:
            found, truth = (
                sample[key]['data'].squeeze().cpu().numpy().astype(np.int64)
                for key in ('pred_sem_seg', 'gt_sem_seg')
            )
            valid = (truth != self.ignored) & (truth < classes)
            pairs, counts = np.unique(truth[valid] * classes + found[valid], return_counts=True)
            rows = np.stack([pairs // classes, pairs % classes, counts], 1).tolist()
            images = [cv2.imencode('.png', x.astype(np.uint8))[1] for x in (truth, found)]
            self.results.append((str(sample.get('img_path', '')), rows, *images))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the files; there are no figures."""
        pictures = [dict(path=path, counts=rows) for path, rows, _, _ in results]
        shares = [_share_of_right(rows) for _, rows, _, _ in results]
        (self.folder / 'maps').mkdir(exist_ok=True)
        for place in np.argsort(shares, kind='stable')[:MOST_MAPS].tolist():
            for name, image in zip(('truth', 'found'), results[place][2:]):
                target = self.folder / 'maps' / f'{place}.{name}.png'
                with written_aside(target) as temporary:
                    temporary.write_bytes(image.tobytes())
            pictures[place]['maps'] = f'maps/{place}'
        write_json(self.folder / 'pixels.json', pictures)
        return {}


def _share_of_right(rows):
    """The share of a picture's pixels whose class is right; 1 where none counts."""
    total = sum(count for _, _, count in rows)
    right = sum(count for truth, found, count in rows if truth == found)
    return right / total if total else 1.0
