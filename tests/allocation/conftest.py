"""What the tests of allocation share: a seed with weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from networks import randomise_norms
from small_scalenet import BASE, CLASSIFIER


@pytest.fixture
def trained(tmp_path):
    """Paths of a classifier's config and of its checkpoint, and the model."""
    init_default_scope('mmpretrain')
    config = Config(dict(BASE, model=CLASSIFIER))
    config.dump(tmp_path / 'seed.py')
    torch.manual_seed(0)
    model = randomise_norms(MODELS.build(config.model), signed=True).eval()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'seed.pth')
    return tmp_path / 'seed.py', tmp_path / 'seed.pth', model
