"""Models as ONNX and OpenVINO files, checked against PyTorch before they are kept."""

from mmscale.export.exporting import Written, export
from mmscale.exported.engines import is_exported
from mmscale.exported.files import ExportedFile

__all__ = ['ExportedFile', 'Written', 'export', 'is_exported']
