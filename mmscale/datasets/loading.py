"""Images that cannot be read are named, and do not end a run after hours."""

import logging
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log

from mmscale.errors import UserError
from mmscale.registry import TRANSFORMS

MOST = 100  # broken images in a row, before a training that finds no other stops


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's loader; an image that is missing or broken is a warning with its path.

    In training, the data set draws another image in its place.

    Args:
        replace (bool): Put a black image in its place, of the size of the last one that could be
            read, as evaluation needs one for each label.
        **kwargs: :class:`mmcv.transforms.LoadImageFromFile`'s.

    Raises:
        UserError: In training, where a hundred images in a row cannot be read.
    """

    def __init__(self, replace: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.replace = replace
        self.named: set[str] = set()
        self.in_a_row = 0
        self.shape = (224, 224, 3)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Read ``results['img_path']``; None if it cannot be read (and `replace` is off).

        What has an image and no path is left as it is: mmpretrain's inferencers read by themselves.
        """
        if 'img_path' not in results and 'img' in results:
            return results
        path = results['img_path']
        try:
            loaded = super().transform(results)
            self.shape = loaded['img'].shape
            self.in_a_row = 0
            return loaded
        except (OSError, AssertionError, ValueError, cv2.error) as error:
            if path not in self.named:
                self.named.add(path)
                instead = 'a black image is evaluated' if self.replace else 'another is drawn'
                print_log(
                    f'image {path!r} cannot be read ({type(error).__name__}): {instead} in its '
                    'place',
                    logger='current',
                    level=logging.WARNING,
                )
        if not self.replace:
            self.in_a_row += 1
            if self.in_a_row == MOST:
                raise UserError(f'{MOST} images in a row cannot be read, {path!r} the last of them')
            return None
        size = self.shape[:2]
        black = np.zeros(self.shape, np.uint8)
        return {**results, 'img': black, 'img_shape': size, 'ori_shape': size}
