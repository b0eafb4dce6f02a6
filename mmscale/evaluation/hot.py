"""COCO's figures by hotcoco, which computes what pycocotools computes, many times faster."""

from typing import Any

from pycocotools.coco import COCO

from mmscale.errors import UserError, first_line
from mmscale.utils.environment import require_optional


def hot_evaluation(truth: COCO, found: list[dict[str, Any]], kind: str, user: str) -> Any:
    """An evaluation with the methods and attributes of ``pycocotools.cocoeval.COCOeval``.

    Only the order of ``params.catIds`` is another: it stays as it is given.

    Args:
        truth (COCO): The annotations.
        found (list[dict]): Results in COCO's format. Those of masks must not have boxes, whose
            areas would be taken.
        kind (str): 'bbox' or 'segm'.
        user (str): What wants it, for the message if hotcoco is missing.

    Raises:
        UserError: If hotcoco is not installed or cannot read them; it takes no ids below 0 and none
            that are texts.
    """
    hotcoco = require_optional('hotcoco', user)
    try:
        annotations = hotcoco.COCO(truth.dataset)
        return hotcoco.COCOeval(annotations, annotations.load_res(found), kind)
    except (TypeError, ValueError) as error:
        raise UserError(
            f'hotcoco cannot read these annotations or results ({first_line(error)}): take '
            "mmdet's CocoMetric"
        ) from error
