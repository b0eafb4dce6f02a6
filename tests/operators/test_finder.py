"""Where Python finds the stand-in, and who sees it."""

import os
import subprocess
import sys
from importlib.machinery import PathFinder

import mmcv
import pytest
import torch
from commands import ROOT
from compiled import through
from mmcv.ops import RoIAlign, roi_align

from mmscale.errors import UserError
from mmscale.operators import extension
from mmscale.operators.finder import EXTENSION, OperatorsFinder

COMPILED = PathFinder.find_spec('_ext', mmcv.__path__) is not None


def run(*command, choice=''):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        env={**os.environ, 'MMSCALE_OPERATORS': choice},
        capture_output=True,
        text=True,
    )


WHICH = 'import mmscale, mmcv.ops, sys; print(sys.modules["mmcv._ext"].__file__)'


@pytest.mark.parametrize('choice', ['', 'auto', 'compiled', 'torchvision'])
def test_which_operators_are_found(choice):
    result = run('-c', WHICH, choice=choice)
    if choice == 'compiled' and not COMPILED:
        assert "No module named 'mmcv._ext': mmcv is not compiled, and MMSCALE" in result.stderr
        return
    stands_in = choice == 'torchvision' or not COMPILED
    assert (result.stdout.strip() == str(EXTENSION)) is stands_in
    assert result.stderr.count('torchvision') == stands_in


def test_an_unknown_choice():
    command = ROOT / 'tools/count_flops.py', 'faster_rcnn_rexnet_fpn'
    (line,) = run(*command, choice='none').stderr.splitlines()
    assert line.startswith("error: MMSCALE_OPERATORS='none' is unknown; choose from")


def test_importing_mmscale_imports_no_torch():
    assert run('-c', 'import mmscale, sys; print("torch" in sys.modules)').stdout == 'False\n'


def test_one_name_alone():
    finder = OperatorsFinder()
    assert finder.find_spec('mmcv._extra', None) is None
    assert finder.find_spec('torch', None) is None


def test_the_others_refuse_by_name():
    operator = extension.deform_roi_pool_forward
    with pytest.raises(UserError, match='deform_roi_pool_forward has to be compiled') as caught:
        operator(torch.rand(1), pooled_height=7)
    assert 'dpool' in str(caught.value)
    assert 'OPERATORS=compiled' in str(caught.value)
    with pytest.raises(UserError, match='mmrotate'):
        extension.nms_rotated()
    with pytest.raises(UserError, match='mmdet3d'):
        extension.ball_query_forward()
    assert not hasattr(extension, '__wrapped__')


SCRIPT = """
import mmscale  # spawned workers import what stands here before anything else

import sys
import torch
from mmcv.ops import nms


class Boxes(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8 + index / 10], [20, 20, 30, 30]])
        return nms(boxes, torch.tensor([0.5, 0.6, 0.7]), 0.5)[1]


if __name__ == '__main__':
    loader = torch.utils.data.DataLoader(
        Boxes(), num_workers=2, multiprocessing_context=sys.argv[1]
    )
    print([row.tolist() for row in loader])
"""


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_workers(start, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    result = run(script, start, choice='torchvision')
    assert result.stdout == f'{[[[2, 1]]] * 4}\n', result.stderr
    assert result.stderr.count('stand in') == 1


# mmcv's own function around the operator is what older compilers cannot follow.
followed = pytest.mark.skipif(
    not hasattr(torch.library, 'custom_op'), reason='torch.compile of before torch 2.4'
)


@followed
def test_roi_align_compiles_without_a_break():
    layer = RoIAlign(3, 1 / 3, 2)
    x = torch.rand(1, 2, 20, 20, requires_grad=True)
    rois = torch.tensor([[0, 1.0, 2, 30, 40], [0, 9.0, 2, 13, 44]])
    with through(extension):
        expected = layer(x, rois)
        expected.sum().backward()
        grad, x.grad = x.grad, None
        output = torch.compile(layer, fullgraph=True, backend='aot_eager')(x, rois)
        output.sum().backward()
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(x.grad, grad)


@followed
def test_roi_align_is_exported():
    class Model(torch.nn.Module):
        def forward(self, x, rois):
            return roi_align(x, rois, (3, 3), 0.5, 2, 'avg', True)

    inputs = torch.rand(1, 2, 20, 20), torch.tensor([[0, 1.0, 2, 30, 40]])
    with through(extension), torch.no_grad():
        program = torch.export.export(Model(), inputs)
        torch.testing.assert_close(program.module()(*inputs), Model()(*inputs))


def test_autocast_and_determinism_change_nothing():
    x, rois = torch.rand(1, 2, 9, 9).half(), torch.tensor([[0, 1.0, 2, 8, 7]]).half()
    with through(extension):
        expected = roi_align(x, rois, 3)
        torch.use_deterministic_algorithms(True)
        try:
            with torch.autocast('cpu', torch.bfloat16):
                output = roi_align(x, rois, 3)
        finally:
            torch.use_deterministic_algorithms(False)
    assert output.dtype == torch.float16
    assert torch.equal(output, expected)
