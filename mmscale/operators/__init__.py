"""mmcv's operators without a compiler: what stands in where the extension ``mmcv._ext`` is missing.

:mod:`finder` makes ``import mmcv._ext`` find :mod:`extension`, which collects the operators of the
other modules. They are made of torchvision's operators and of plain PyTorch, with the names and
arguments of mmcv's compiled functions: most of them write their result into tensors they are given.
"""
