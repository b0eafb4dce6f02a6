"""The engines that run exported files, one row each: how to open, write and quantise a file.

A new engine is a row of `ENGINES` and its three functions.
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmscale.errors import UserError, first_line
from mmscale.exported.outside import check_beside, check_onnx_data
from mmscale.utils.environment import require_optional

KEY = 'mmscale'  # under which the description is kept in the file


class Opened(NamedTuple):
    """A file that an engine has loaded.

    Attributes:
        text (str | None): The description, as it stands in the file.
        compute (Callable): From one array for each input to one for each output.
        inputs, outputs (list[str]): Their names.
    """

    text: str | None
    compute: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    inputs: list[str]
    outputs: list[str]


class Engine(NamedTuple):
    """An engine and the files that it runs.

    Attributes:
        name (str): As the benchmark's forms call it.
        suffix (str): Of its files.
        package (str): That it needs.
        open (Callable): ``open(path, threads) -> Opened``; 0 threads are as many as it likes.
        write (Callable): ``write(model, meta, path)`` from an onnx.ModelProto; `meta` (dict) is
            what the file says of itself.
        quantise (Callable): ``quantise(path, dataset, out, options)`` by NNCF, from a file in
            float32.
        describe (Callable): ``describe(path, meta, out)`` writes a file with another description.
    """

    name: str
    suffix: str
    package: str
    open: Callable[[Path, int], Opened]
    write: Callable[[Any, dict, Path], None]
    quantise: Callable[[Path, Any, Path, dict], None]
    describe: Callable[[Path, dict, Path], None]


# ONNX Runtime


def _open_onnx(path, threads):
    ort = require_optional('onnxruntime', f'running {path}')
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    check_onnx_data(path)
    try:
        session = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # the library's own, without a common base
        raise UserError(f'{path} cannot be read by ONNX Runtime: {first_line(error)}') from error
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    return Opened(
        text, lambda arrays: session.run(None, dict(zip(inputs, arrays))), inputs, outputs
    )


def _write_onnx(model, meta, path):
    onnx = require_optional('onnx', f'writing {path.name}')
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(meta)
    onnx.save(model, path)


def _quantise_onnx(path, dataset, out, options):
    onnx = require_optional('onnx', '8 bits')
    nncf = require_optional('nncf', '8 bits')
    onnx.save(nncf.quantize(onnx.load(path), dataset, **options), out)


def _describe_onnx(path, meta, out):
    onnx = require_optional('onnx', f'writing {out.name}')
    model = onnx.load(path)
    for entry in [entry for entry in model.metadata_props if entry.key == KEY]:
        model.metadata_props.remove(entry)
    _write_onnx(model, meta, out)


# OpenVINO


def _open_openvino(path, threads):
    openvino = require_optional('openvino', f'running {path}')
    with open(path, 'rb') as file:
        if not file.read(64).lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'<'):
            raise UserError(f'{path} cannot be read by OpenVINO: it is not XML')
    check_beside(path, path.with_suffix('.bin').name)
    # On CPUs with bfloat16 OpenVINO would compute in it by itself.
    options = {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'}
    if threads:
        options['INFERENCE_NUM_THREADS'] = threads
    try:
        model = openvino.Core().read_model(path)
        text = model.get_rt_info([KEY]).value if model.has_rt_info([KEY]) else None
        compiled = openvino.compile_model(model, 'CPU', options)
    except RuntimeError as error:
        raise UserError(f'{path} cannot be read by OpenVINO: {first_line(error)}') from error

    requests = threading.local()  # one is for one thread: another's pictures would get in

    def compute(arrays):
        if not hasattr(requests, 'own'):
            requests.own = compiled.create_infer_request()
        result = requests.own.infer(list(arrays))
        return [result[index] for index in range(len(compiled.outputs))]

    inputs = [value.get_any_name() for value in compiled.inputs]
    outputs = [value.get_any_name() for value in compiled.outputs]
    return Opened(text, compute, inputs, outputs)


def _write_openvino(model, meta, path):
    onnx = require_optional('onnx', f'writing {path.name}')
    openvino = require_optional('openvino', f'writing {path.name}')
    plain = path.with_suffix('.onnx')
    onnx.save(model, plain)
    converted = openvino.convert_model(plain)
    converted.set_rt_info(json.dumps(meta), [KEY])
    openvino.save_model(converted, path, compress_to_fp16=False)
    plain.unlink()


def _quantise_openvino(path, dataset, out, options):
    openvino = require_optional('openvino', '8 bits')
    nncf = require_optional('nncf', '8 bits')
    network = nncf.quantize(openvino.Core().read_model(path), dataset, **options)
    openvino.save_model(network, out, compress_to_fp16=False)


def _describe_openvino(path, meta, out):
    openvino = require_optional('openvino', f'writing {out.name}')
    network = openvino.Core().read_model(path)
    network.set_rt_info(json.dumps(meta), [KEY])
    openvino.save_model(network, out, compress_to_fp16=False)


ONNX_RUNTIME = Engine(
    'onnxruntime', '.onnx', 'onnxruntime',
    _open_onnx, _write_onnx, _quantise_onnx, _describe_onnx,
)  # fmt: skip
OPENVINO = Engine(
    'openvino', '.xml', 'openvino',
    _open_openvino, _write_openvino, _quantise_openvino, _describe_openvino,
)  # fmt: skip
ENGINES = (ONNX_RUNTIME, OPENVINO)


def is_exported(path: str | Path) -> bool:
    """Whether a path is that of an exported file, by its suffix."""
    return any(Path(path).suffix == engine.suffix for engine in ENGINES)


def engine_of(path: str | Path) -> Engine:
    """The engine that a file's suffix names.

    Raises:
        UserError: If it names none.
    """
    for engine in ENGINES:
        if Path(path).suffix == engine.suffix:
            return engine
    known = ' or '.join(f'NAME{engine.suffix} ({engine.name})' for engine in ENGINES)
    raise UserError(f'{str(path)!r} must be {known}')
