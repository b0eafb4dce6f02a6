"""mmpretrain beside versions of transformers."""

import os
import subprocess
import sys

import pytest

from mmscale.utils.multimodal import TAKEN

CODE = (
    'import mmscale, mmpretrain.models; '
    'from mmpretrain.utils.dependency import WITH_MULTIMODAL as flag; '
    "print(flag, mmpretrain.models.build_backbone(dict(type='ResNet', depth=18)).depth)"
)


@pytest.mark.parametrize(
    ('content', 'why'),
    [
        (''.join(f'{name} = None\n' for name in TAKEN[::2]), TAKEN[1]),  # as in version 5
        ("raise ImportError('huggingface-hub<2 is required')", 'huggingface-hub<2 is required'),
    ],
)
def test_one_that_does_not_fit(content, why, tmp_path):
    package, info = tmp_path / 'transformers', tmp_path / 'transformers-5.17.0.dist-info'
    package.mkdir()
    info.mkdir()
    # As torch 2.1's compiler expects of any.
    (package / '__init__.py').write_text(
        'class configuration_utils:\n    class PretrainedConfig:\n        pass\n'
    )
    (package / 'pytorch_utils.py').write_text(content)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: transformers\nVersion: 5.17.0\n')
    path = f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', CODE],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == 'False 18', done.stderr[-2000:]
    (line,) = [line for line in done.stderr.splitlines() if 'transformers' in line]
    assert line == (
        "mmpretrain's language models are left out, since transformers does not fit them: " + why
    )
