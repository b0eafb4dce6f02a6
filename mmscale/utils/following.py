"""Whether torch.jit, torch.compile or torch.export follows, which may fix sizes as constants."""

import torch

try:
    from torch.compiler import is_compiling
except ImportError:  # before torch 2.3
    from torch._dynamo import is_compiling

__all__ = ['is_compiling', 'is_followed']


def is_followed() -> bool:
    """Whether torch.jit.trace, torch.compile or torch.export follows what is computed."""
    exporting = getattr(torch.compiler, 'is_exporting', None)  # torch 2.7
    tracing = torch.jit.is_tracing() or is_compiling()
    return tracing or (exporting is not None and exporting())
