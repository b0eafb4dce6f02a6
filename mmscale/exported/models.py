"""Exported files in the place of models: mmengine's Runner tests them, inferencers draw them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel

from mmscale.errors import UserError, first_line
from mmscale.exported.files import ExportedFile, pad_to
from mmscale.registry import MODELS


class ExportedModel(BaseModel):
    """What makes predictions shares this; a subclass makes samples of the outputs.

    Args:
        file (str | ExportedFile): The file.

    Attributes:
        part (str): What it has to hold; '' for anything.

    Raises:
        UserError: If it holds another part, or cannot be read.
    """

    part = ''

    def __init__(self, file: str | ExportedFile) -> None:
        super().__init__()
        self.file = file if isinstance(file, ExportedFile) else ExportedFile(file)
        found = self.file.meta['part']
        if self.part and found != self.part:
            raise UserError(f'{self.file.path} holds a {found}, not a {self.part}')

    def test_step(self, data: dict[str, Any]) -> list:
        """Predictions for a batch as the test pipeline gives it.

        Args:
            data (dict): `inputs`, uint8 BGR images (3, h, w), and `data_samples`.

        Returns:
            list: The data samples, with predictions.
        """
        return self.forward(self.images(data), data['data_samples'])

    val_step = test_step

    def images(self, data: dict[str, Any]) -> list[np.ndarray]:
        """The images of a batch as RGB arrays that fit into the file's frame."""
        return [image.numpy()[::-1] for image in data['inputs']]

    def forward(self, images: list[np.ndarray], samples: list, mode: str = 'predict') -> list:
        """Predictions for RGB images, one sample each.

        Raises:
            UserError: If the file computes something else.
        """
        size = self.file.meta['input']['batch'] or len(images)
        for start in range(0, len(images), size):
            batch, rest = images[start : start + size], samples[start : start + size]
            outputs = self.file.run(*self.inputs(batch, size))
            try:
                for index, sample in enumerate(rest):
                    self.predict({name: value[index] for name, value in outputs.items()}, sample)
            except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
                raise UserError(
                    f'{self.file.path}: its graph computes no results of a {self.part} '
                    f'({first_line(error)}); export the model again'
                ) from error
        return samples

    def frame(self, images: Sequence[np.ndarray]) -> tuple[int, int]:
        """Height and width that hold all of the images, as the file takes them.

        Raises:
            UserError: If the file takes no such images.
        """
        wanted = self.file.meta['input']
        needed = tuple(max(image.shape[axis] for image in images) for axis in (1, 2))
        if wanted['size'] is None:
            divisor = wanted['divisor']
            return tuple(max(-(-side // divisor) * divisor, wanted['smallest']) for side in needed)
        size = tuple(wanted['size'])
        larger = any(side > limit for side, limit in zip(needed, size))
        if larger or (self.part == 'classifier' and needed != size):
            raise UserError(
                f'{self.file.path.name} takes images of {size[0]} x {size[1]} px (height x width), '
                f'its test pipeline made one of {needed[0]} x {needed[1]}: export it with another '
                '--shape'
            )
        return size

    def inputs(self, images: list[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """The arrays that the file takes; missing images are black."""
        size = self.frame(images)
        frames = np.zeros((count, 3, *size), np.uint8)
        for index, image in enumerate(images):
            frames[index] = pad_to(image, size)
        return (frames,)

    def predict(self, outputs: dict[str, np.ndarray], sample: Any) -> None:
        """Put the outputs of one image into its sample."""
        raise NotImplementedError


@MODELS.register_module()
class ExportedClassifier(ExportedModel):
    """A classifier."""

    part = 'classifier'

    def predict(self, outputs: dict[str, np.ndarray], sample: Any) -> None:
        """Scores and the label with the highest."""
        scores = torch.from_numpy(outputs['logits']).softmax(0)
        sample.set_pred_score(scores).set_pred_label(scores.argmax())


@MODELS.register_module()
class ExportedDetector(ExportedModel):
    """A detector. Images that are larger than a fixed frame are scaled down to it."""

    part = 'detector'

    def images(self, data: dict[str, Any]) -> list[np.ndarray]:
        """As :meth:`ExportedModel.images`; the samples learn how the images were scaled."""
        size = self.file.meta['input']['size']
        pairs = zip(data['inputs'], data['data_samples'])
        return super().images(dict(inputs=[shrink(*pair, size) for pair in pairs]))

    def inputs(self, images: list[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """The images and their sizes."""
        sizes = np.ones((count, 2), np.int64)
        sizes[: len(images)] = [image.shape[1:] for image in images]
        return (*super().inputs(images, count), sizes)

    def predict(self, outputs: dict[str, np.ndarray], sample: Any) -> None:
        """Boxes, scores, labels and masks in pixels of the picture as it was read."""
        from mmengine.structures import InstanceData

        found = outputs['scores'] > 0
        scale = np.tile(np.float32(sample.metainfo.get('scale_factor', (1, 1))), 2)
        boxes = torch.from_numpy(outputs['boxes'][found] / scale)
        instances = InstanceData(
            bboxes=boxes,
            scores=torch.from_numpy(outputs['scores'][found]),
            labels=torch.from_numpy(outputs['labels'][found]),
        )
        if 'masks' in outputs:
            masks = torch.from_numpy(outputs['masks'][found])
            threshold = self.file.meta['thresholds']['mask']
            instances.masks = paste(masks, boxes, sample.ori_shape[:2], threshold)
        sample.pred_instances = instances


@MODELS.register_module()
class ExportedSegmentor(ExportedModel):
    """A segmentor. Images that are larger than a fixed frame are scaled down to it."""

    part = 'segmentor'

    def images(self, data: dict[str, Any]) -> list[np.ndarray]:
        """As :meth:`ExportedModel.images`; the samples learn how the images were scaled."""
        size = self.file.meta['input']['size']
        pairs = zip(data['inputs'], data['data_samples'])
        return super().images(dict(inputs=[shrink(*pair, size) for pair in pairs]))

    def predict(self, outputs: dict[str, np.ndarray], sample: Any) -> None:
        """The class of every pixel of the picture as it was read."""
        from mmengine.structures import PixelData

        height, width = sample.img_shape[:2]
        logits = torch.from_numpy(outputs['logits'])[None, :, :height, :width]
        logits = F.interpolate(
            logits,
            tuple(sample.ori_shape[:2]),
            mode='bilinear',
            align_corners=self.file.meta['align_corners'],
        )
        sample.pred_sem_seg = PixelData(data=logits[0].argmax(0, keepdim=True))


PREDICTING = dict(
    detector=ExportedDetector, classifier=ExportedClassifier, segmentor=ExportedSegmentor
)


class ExportedMaps(ExportedModel):
    """A backbone, with or without neck: it makes no predictions, but takes images."""


def adapter(file: ExportedFile) -> ExportedModel:
    """An exported file in the form of a model, whatever it holds.

    Args:
        file (ExportedFile): The file.

    Returns:
        ExportedModel: The model.
    """
    return PREDICTING.get(file.meta['part'], ExportedMaps)(file)


def shrink(image: torch.Tensor, sample: Any, size: Sequence[int] | None) -> torch.Tensor:
    """An image (3, h, w) that fits into a frame; its sample learns how it was scaled.

    Args:
        image (Tensor): uint8.
        sample (mmdet.structures.DetDataSample): It is changed.
        size (Sequence[int], optional): Height and width of the frame; None holds any image.
    """
    from mmcv import imrescale

    if size is None or all(side <= limit for side, limit in zip(image.shape[1:], size)):
        return image
    height, width = image.shape[1:]
    factor = min(size[0] / height, size[1] / width)
    pixels = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
    pixels = imrescale(pixels, factor)[: size[0], : size[1]]
    scale = pixels.shape[1] / width, pixels.shape[0] / height  # as it was rounded
    before = sample.metainfo.get('scale_factor', (1, 1))
    sample.set_metainfo(
        dict(
            img_shape=pixels.shape[:2],
            scale_factor=tuple(one * other for one, other in zip(before, scale)),
        )
    )
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def paste(
    masks: torch.Tensor, boxes: torch.Tensor, size: Sequence[int], threshold: float
) -> torch.Tensor:
    """Masks of whole pictures from probabilities within boxes.

    Args:
        masks (Tensor): (K, h, w), in [0, 1].
        boxes (Tensor): (K, 4), in pixels of the picture.
        size (Sequence[int]): The picture's height and width.
        threshold (float): Of the probability.

    Returns:
        Tensor: bool, (K, height, width).
    """
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    pasted = torch.zeros(len(masks), *size, dtype=torch.bool)
    for index, (mask, box) in enumerate(zip(masks, boxes)):
        part, where = _do_paste_mask(mask[None, None], box[None], *size, skip_empty=True)
        place = (index, *where)
        pasted[place] = (part >= threshold)[0]
    return pasted
