import compiled as compiled_extension
import pytest
import torch


@pytest.fixture(autouse=True)
def the_same_numbers():
    """Random numbers do not depend on which tests ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def compiled(tmp_path_factory):
    """mmcv's compiled extension; the test is skipped where there is none."""
    extension = compiled_extension.load(tmp_path_factory.mktemp('wheel'))
    if extension is None:
        pytest.skip('mmcv has no compiled operators here, and no wheel lies beside the checkout')
    return extension
