"""Models as ONNX and OpenVINO files, checked against PyTorch before they are kept."""

from mmscale.export.exporting import Written, export
from mmscale.export.files import ExportedFile, is_exported

__all__ = ['ExportedFile', 'Written', 'export', 'is_exported']
