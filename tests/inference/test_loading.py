"""Models are opened from checkpoints and from exported files; strange ones are refused."""

import pytest

from mmscale.errors import UserError
from mmscale.inference.loading import open_model

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')


def test_strange_files_are_refused(classifier, tmp_path):
    broken, foreign = tmp_path / 'broken.onnx', tmp_path / 'foreign.onnx'
    broken.write_text('no model')
    graph = onnx.parser.parse_graph('f (float[1] x) => (float[1] y) { y = Identity(x) }')
    opset = [onnx.helper.make_opsetid('', 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), foreign)
    for path, words in (
        (tmp_path / 'none.onnx', 'is missing'),
        (broken, 'broken[.]onnx'),
        (foreign, r'foreign\.onnx .*mmscale export'),
    ):
        with pytest.raises(UserError, match=words):
            open_model(str(path))
    with pytest.raises(UserError, match='--config CONFIG'):
        open_model(classifier[1])
    with pytest.raises(UserError, match='config'):
        open_model(str(foreign), classifier[0])
