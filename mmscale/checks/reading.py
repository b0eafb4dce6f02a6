"""Annotation files, read."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmscale.checks.findings import FAULT, Finding
from mmscale.utils.texts import parse_json

LISTS = ('images', 'annotations', 'categories')
UNLABELLED = 'has pictures and categories, but no annotations, as COCO has for its test-dev'


def read_annotations(
    path: Path, root: Path, *, unlabelled: bool = False
) -> tuple[dict[str, Any] | None, Finding | None]:
    """The content of an annotation file in COCO's format.

    Args:
        path (Path): The file.
        root (Path): The data root, for the message.
        unlabelled (bool): It may lack annotations: only pictures are wanted. The content does too.

    Returns:
        tuple: The content and None; or None and why there is none.
    """
    named = f'annotation file {str(path)!r}'
    if not os.path.isfile(path):  # of a name that is too long, Path's raises
        return None, Finding(
            FAULT,
            'file-missing',
            f'{named} is missing (data root: {str(root)!r}).\n'
            'A set of your own: correct data_root and ann_file in your config. COCO '
            '(annotations/, train2017/ and val2017/, see https://cocodataset.org): '
            "this package's configs find it by COCO_ROOT=/path/to/coco, mmdet's own in their "
            'data root, which may be a link.\n'
            'To try everything without any data: mmscale demo; or mmscale make-shapes data/shapes, '
            'then mmscale train shapes/faster-rcnn_rexnet-100_fpn_shapes',
        )
    try:
        content = _parsed(path)
    except OSError as error:
        return None, Finding(FAULT, 'file-unreadable', f'{named} cannot be read: {error.strerror}')
    except ValueError as error:
        why = 'it is empty' if not path.stat().st_size else str(error)
        return None, Finding(
            FAULT, 'file-no-json', f'{named} is not JSON: {why}', 'export or copy it again'
        )
    wrong = [k for k in LISTS if not isinstance(content, dict) or not _is_list(content.get(k))]
    if wrong == ['annotations'] and 'annotations' not in content:
        if unlabelled:
            return content, None
        return None, Finding(
            FAULT,
            'annotations-none',
            f'{named} {UNLABELLED}: it can be tested on, not trained',
            'for a test that only writes predictions: format_only=True in the evaluator',
        )
    if wrong:
        return None, Finding(
            FAULT,
            'file-no-coco',
            f'{named} has no lists {wrong}; it must be in COCO format',
        )
    return content, None


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's collector off millions of lists, which it would look through each time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _parsed(path):
    with uncollected():
        return parse_json(path.read_bytes())


def _is_list(value):
    return isinstance(value, list)
