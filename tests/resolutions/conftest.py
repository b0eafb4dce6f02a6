"""What the tests of resolutions share: a small SAN's options and checkpoint."""

import pytest
import torch
from runs import loaders
from small_san import SIZES, build

from mmscale.datasets.shapes import CLASSES


@pytest.fixture(scope='session')
def options(shapes):
    """What makes a small SAN for the crops of the shapes set out of the one for ImageNet."""
    return {
        'model.backbone.resolutions': SIZES,
        'model.backbone.encoding_base': 91,
        'model.head.num_classes': len(CLASSES),
        'data_preprocessor.num_classes': len(CLASSES),
        'train_dataloader.dataset.pipeline.1.scale': SIZES[0],
        **loaders(batch_size=8, **{'dataset.data_root': str(shapes / 'classes')}),
    }


@pytest.fixture(scope='session')
def checkpoint(options, tmp_path_factory):
    """A file with the small SAN's weights."""
    path = tmp_path_factory.mktemp('san') / 'san.pth'
    torch.save({'state_dict': build(options).state_dict()}, path)
    return str(path)
