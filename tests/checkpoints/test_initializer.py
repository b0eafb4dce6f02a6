"""What init_cfg=dict(type='Pretrained') does in this package's models."""

import pytest
from checkpoint_files import file_of, holds, small_state
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS

from mmscale.errors import UserError


def test_trust_lets_code_run(tmp_path):
    path = file_of('code', tmp_path)
    model, _ = small_state()
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path), trust_checkpoint=True)
    model.init_weights()
    assert holds(model)
    assert (tmp_path / 'ran').exists()


@pytest.mark.parametrize('name', ['Pretrained', 'mmengine.Pretrained', PretrainedInit])
def test_every_name_of_mmengines_initialiser_goes_through_the_checks(name, tmp_path):
    path = file_of('other width', tmp_path)
    model = MODELS.build(
        dict(type='mmscale.ReXNet', width_mult=0.9, init_cfg=dict(type=name, checkpoint=str(path)))
    )
    with pytest.raises(UserError, match='ReXNet 1.0'):
        model.init_weights()
