"""The page about plain PyTorch: its examples run in a process that has no mmdet."""

import os
import re
import subprocess
import sys

import pytest
from commands import ROOT

PAGE = (ROOT / 'docs/plain_pytorch.md').read_text(encoding='utf-8')
EXAMPLES = ''.join(re.findall(r'^```python\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL))
NOTHING_OF = """
import sys
sys.modules.update(dict.fromkeys(('mmdet', 'mmpretrain')))
"""
USE = """
detector.eval(), retinanet.eval(), segmentor.eval()
pictures = [torch.rand(3, 96, 128), torch.rand(3, 64, 96)]
targets = [
    dict(boxes=torch.tensor([[4.0, 4.0, 40.0, 50.0]]), labels=torch.tensor([1])) for _ in pictures
]
for model in (detector, retinanet):
    model.transform.min_size = (96,)  # 800 px otherwise
    assert all(set(found) == {'boxes', 'labels', 'scores'} for found in model(pictures))
    losses = model.train()(pictures, targets)
    sum(losses.values()).backward()
    grads = [p.grad for p in model.backbone.backbone.parameters() if p.requires_grad]
    assert grads and all(grad is not None for grad in grads)
assert not any(p.requires_grad for p in detector.backbone.backbone.stem.parameters())
with torch.no_grad():
    assert segmentor(torch.rand(2, 3, 96, 128))['out'].shape == (2, 21, 96, 128)
assert runner.iter == 2
"""


@pytest.mark.parametrize('block', ['FasterRCNN', 'DeepLabV3', 'Runner'])
def test_the_page_has(block):
    assert f'{block}(' in EXAMPLES


def test_its_examples_run_without_mmdet(tmp_path):
    script = tmp_path / 'page.py'
    script.write_text(NOTHING_OF + EXAMPLES + USE)
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
