"""8-bit files, by OpenVINO's NNCF from a file that is there: for ONNX and OpenVINO alike."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import Compose

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
        UserError: If NNCF is missing.
    """
    nncf = require_optional('nncf', '8 bits')
    model, pipeline = adapter(file), Compose(test_set(cfg).pipeline)

    def inputs(path):
        sample = pipeline(dict(img_path=path, img_id=0))
        images = model.images(
            dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        )
        arrays = model.inputs(images, file.meta['input']['batch'] or 1)
        return dict(zip(file.inputs, arrays))

    dataset = nncf.Dataset(pictures, inputs)
    engine_of(out).quantise(file.path, dataset, out, dict(subset_size=len(pictures)))
