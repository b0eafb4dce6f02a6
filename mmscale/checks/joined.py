"""Several data sets behind one evaluator."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmscale.checks.findings import FAULT, Finding, count, first
from mmscale.checks.reading import read_annotations
from mmscale.checks.repairs import repair, write_copy


def find_repeats(dataset: Any, where: str) -> Iterator[Finding]:
    """A data set that gives the evaluator pictures more than once: each is a false alarm then.

    Args:
        dataset (dict): Of a validation or test.
        where (str): Its dotted name.
    """
    if not isinstance(dataset, Mapping):
        return
    times = dataset.get('times', 1)
    if 'dataset' in dataset and isinstance(times, int) and times > 1:
        yield Finding(
            FAULT,
            'set-repeated',
            f'{where} repeats its pictures {times} times, so that every object is found as often: '
            'all but one count as wrong',
            'times=1',
        )
    yield from find_repeats(dataset.get('dataset'), where)
    for inner in dataset.get('datasets') or ():
        yield from find_repeats(inner, where)


def find_in_joined(
    read: Sequence[tuple[Path, Any]],
    metrics: Sequence[Any],
    split: str,
    cfg: Any,
    *,
    apply: bool,
) -> Iterator[Finding]:
    """Compare the sets of one loader with each other and with the evaluator's file.

    Args:
        read (list[tuple]): Path and content of each.
        metrics (list[dict]): Those that read a COCO file, or take the truth from the sets.
        split (str): 'val' or 'test'.
        cfg (mmengine.Config): It has a `work_dir` if `apply` is set.
        apply (bool): Have the metrics read a repaired copy of their file.
    """
    named = f'{split}_dataloader joins {[str(path) for path, _ in read]}'
    ids = Counter(image['id'] for _, content in read for image in content['images'])
    twice = [value for value, n in ids.items() if n > 1]
    if twice:
        yield Finding(
            FAULT,
            'ids-in-several',
            f'{named}, which have {count(twice, ids, "image ids")} in common, {first(twice)}: the '
            'metrics cannot tell the pictures apart',
            'number the images of each file differently, or test the sets one by one',
        )
        return
    for metric in metrics:
        given = metric.get('ann_file')
        if not isinstance(given, str) or not os.path.isfile(given) or metric.get('format_only'):
            continue
        content, _ = read_annotations(Path(given), Path())
        if content is None:
            continue
        mended = list(repair(content, Path(given), None))
        yield from mended
        known = {image.get('id') for image in content['images'] if isinstance(image, dict)}
        lacks = [value for value in ids if value not in known]
        objects = sum(len(joined['annotations']) for _, joined in read)
        if lacks or len(content['annotations']) != objects:
            yield Finding(
                FAULT,
                'evaluator-other-file',
                f'{named}, with {len(ids)} images and {objects} objects, but '
                f'{split}_evaluator.ann_file={given!r} has {len(known)} and '
                f'{len(content["annotations"])}',
                'give the evaluator one file of all of them; or none, and instances in meta_keys',
            )
        elif mended and apply:
            metric.ann_file = str(write_copy(content, Path(given), cfg.work_dir))
