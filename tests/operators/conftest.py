import compiled as compiled_extension
import pytest


@pytest.fixture(scope='session')
def compiled(tmp_path_factory):
    """mmcv's compiled extension; the test is skipped where there is none."""
    extension = compiled_extension.load(tmp_path_factory.mktemp('wheel'))
    if extension is None:
        pytest.skip('mmcv has no compiled operators here, and no wheel lies beside the checkout')
    return extension
