"""Exported files, run by ONNX Runtime or OpenVINO: what is in them and what they compute."""

import json
import os
from pathlib import Path

import numpy as np

from mmscale.environment import require_optional
from mmscale.errors import UserError

KEY = 'mmscale'  # under which the description is kept in the file
FORMAT = 1  # of the description
SUFFIXES = ('.onnx', '.xml')


def is_exported(path):
    """Whether a path is that of an exported file, by its suffix."""
    return Path(path).suffix in SUFFIXES


class ExportedFile:
    """An exported file, loaded by the engine that its suffix names.

    Args:
        path (str | Path): A file that :func:`mmscale.export.export` has written: NAME.onnx, or
            NAME.xml with NAME.bin beside it.
        threads (int, optional): Of the engine. Default: OMP_NUM_THREADS, or as many as it likes.

    Attributes:
        meta (dict): What the file is and wants (docs/export.md).
        inputs (list[str]): Names of the inputs.
        outputs (list[str]): Names of the outputs.

    Raises:
        UserError: If it cannot be read, or was written by something else.
    """

    def __init__(self, path, threads=None):
        path = Path(path)
        if not path.is_file():
            raise UserError(f'exported file {str(path)!r} is missing')
        if path.suffix not in SUFFIXES:
            raise UserError(f'{str(path)!r} is no exported file: NAME.onnx or NAME.xml')
        threads = threads or int(os.environ.get('OMP_NUM_THREADS', 0))
        opened = _open_onnx if path.suffix == '.onnx' else _open_openvino
        text, self._compute, self.inputs, self.outputs = opened(path, threads)
        self.path = path
        self.meta = _description(text, path)

    def run(self, *arrays):
        """Compute.

        Args:
            *arrays (np.ndarray): One for each of `inputs`.

        Returns:
            dict[str, np.ndarray]: Every output by its name.
        """
        return dict(zip(self.outputs, self._compute(arrays)))


def _open_onnx(path, threads):
    ort = require_optional('onnxruntime', f'running {path}')
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # the library's own, without a common base
        raise UserError(f'{path} cannot be read by ONNX Runtime: {_line(error)}') from error
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    return text, lambda arrays: session.run(None, dict(zip(inputs, arrays))), inputs, outputs


def _open_openvino(path, threads):
    openvino = require_optional('openvino', f'running {path}')
    # On CPUs with bfloat16 OpenVINO would compute in it by itself.
    options = {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'}
    if threads:
        options['INFERENCE_NUM_THREADS'] = threads
    try:
        model = openvino.Core().read_model(path)
        text = model.get_rt_info([KEY]).value if model.has_rt_info([KEY]) else None
        compiled = openvino.compile_model(model, 'CPU', options)
    except RuntimeError as error:
        raise UserError(f'{path} cannot be read by OpenVINO: {_line(error)}') from error

    def compute(arrays):
        result = compiled(list(arrays))
        return [result[index] for index in range(len(compiled.outputs))]

    inputs = [value.get_any_name() for value in compiled.inputs]
    outputs = [value.get_any_name() for value in compiled.outputs]
    return text, compute, inputs, outputs


def _description(text, path):
    try:
        meta = json.loads(text or '')
    except ValueError as error:
        raise UserError(
            f'{path} does not say how it is to be used: it was not written by tools/export.py'
        ) from error
    if meta.get('format') != FORMAT:
        raise UserError(
            f'{path} was written by mmscale {meta.get("mmscale")} in format {meta.get("format")}; '
            f'this one reads format {FORMAT}: export it again'
        )
    return meta


def _line(error):
    return str(error).strip().partition('\n')[0]


def pad_to(array, size):
    """An image (3, h, w) in the upper left corner of zeros (3, *size)."""
    frame = np.zeros((array.shape[0], *size), array.dtype)
    frame[:, : array.shape[1], : array.shape[2]] = array
    return frame
