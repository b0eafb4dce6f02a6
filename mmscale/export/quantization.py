"""8-bit files, by OpenVINO's NNCF from a file that is there: for ONNX and OpenVINO alike."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from mmscale.errors import UserError, first_line
from mmscale.exported.engines import engine_of
from mmscale.exported.files import ExportedFile
from mmscale.exported.models import adapter
from mmscale.utils.configs import test_set
from mmscale.utils.environment import require_optional

COUNT = 100  # pictures that the ranges are taken from


def quantise(file: ExportedFile, cfg: Config, pictures: Sequence[str], out: Path) -> None:
    """Write an exported file with weights and activations in 8 bits.

    Args:
        file (ExportedFile): In float32.
        cfg (mmengine.Config): With the test pipeline.
        pictures (Sequence[str]): Whose activations set the ranges, best of the training set.
        out (Path): The file to write, of the same format.

    Raises:
        UserError: If NNCF is missing, or an operator sees no number in these pictures.
    """
    nncf = require_optional('nncf', '8 bits')
    arrays = picture_inputs(file, cfg)
    dataset = nncf.Dataset(pictures, lambda path: dict(zip(file.inputs, arrays(path))))
    try:
        engine_of(out).quantise(file.path, dataset, out, dict(subset_size=len(pictures)))
    except nncf.InternalError as error:
        raise UserError(
            f'the model cannot be put into 8 bits: {first_line(error)}. Each of its operators has '
            f'to see numbers: in none of the {len(pictures)} pictures of the training set may it '
            'have proposed an object, as before a training'
        ) from error


def picture_inputs(file: ExportedFile, cfg: Config) -> Callable[[str], tuple[np.ndarray, ...]]:
    """What turns a picture's path into a file's inputs, one array for each.

    Args:
        file (ExportedFile): The file.
        cfg (mmengine.Config): With the test pipeline.
    """
    model, pipeline = adapter(file), Compose(test_set(cfg).pipeline)

    def inputs(path):
        sample = pipeline(dict(img_path=path, img_id=0))
        data = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        return model.inputs(model.images(data), file.meta['input']['batch'] or 1)

    return inputs
