"""How the operators were compiled, for mmcv's reports of the environment."""

import torch
import torchvision


def get_compiler_version() -> str:
    """What stands in the place of the compiler's name."""
    return f'none, torchvision {torchvision.__version__} stands in'


def get_compiling_cuda_version() -> str:
    """The CUDA version of torchvision's operators, '12.8' say, or 'not available'."""
    with_cuda = torch.ops.torchvision._cuda_version() > 0
    return str(torch.version.cuda) if with_cuda else 'not available'
