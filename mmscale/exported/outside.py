"""What an exported file has outside of itself: weights beside it, and nothing anywhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmscale.errors import UserError, first_line
from mmscale.utils.environment import require_optional


def check_onnx_data(path: Path) -> None:
    """Check where an ONNX file has its weights, before an engine reads them.

    Args:
        path (Path): The file.

    Raises:
        UserError: If it is no ONNX file, or takes weights from outside of its folder.
    """
    onnx = require_optional('onnx', f'reading {path}')
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # of protobuf, of which there are several
        raise UserError(
            f'{path} cannot be read by ONNX Runtime, as it is no ONNX file: {first_line(error)}'
        ) from error
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key == 'location':
                check_beside(path, entry.value)


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor anywhere inside a message: of graphs in graphs, functions, attributes."""
    if message.DESCRIPTOR.name == 'TensorProto':
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, 'DESCRIPTOR') else value:
            yield from _tensors(inner)


def check_beside(path: Path, location: str) -> None:
    """Check that a second file lies in the folder of the first.

    Args:
        path (Path): The first one.
        location (str): Of the second, as the first one says it.

    Raises:
        UserError: If it is an absolute path, leads out of the folder, or is a link that does.
    """
    folder = path.parent.resolve()
    given = Path(location)
    outside = given.is_absolute() or '..' in location.replace('\\', '/').split('/')
    try:
        outside = outside or not (folder / given).resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):  # a link to itself, a name that cannot be
        outside = True
    if outside:
        raise UserError(
            f'{path} takes its weights from {location[:120]!r}, which is outside of its folder; it '
            'was not opened. If they are meant to be there, put them beside it, as a file'
        )
