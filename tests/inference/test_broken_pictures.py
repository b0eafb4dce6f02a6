"""Pictures that the loader cannot read are named before a model is loaded."""

import numpy as np
import pytest
from PIL import Image

from mmscale.datasets.pictures import list_pictures
from mmscale.errors import UserError


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'WEBP'])
@pytest.mark.parametrize('keep', [0, 60, 0.5])
def test_cut_pictures_are_named(tmp_path, kind, keep):
    path = tmp_path / 'cut.jpg'
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    Image.fromarray(pixels).save(path, format=kind)
    assert list_pictures([path]) == [str(path)]
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    try:
        list_pictures([path])
    except UserError as error:
        assert 'cut.jpg' in str(error)
    else:  # what is read must be what the loader reads
        from mmcv.transforms import LoadImageFromFile

        assert LoadImageFromFile()(dict(img_path=str(path)))['img'].shape == (96, 128, 3)
