"""ResNet-18 of half the width at 32 px, to compare SAN with.

At another size, 24 px say: --cfg-options train_dataloader.dataset.pipeline.3.scale=24
val_dataloader.dataset.pipeline.1.scale=24 test_dataloader.dataset.pipeline.1.scale=24
"""

_base_ = ['../_base_/cifar10_32px.py', '../_base_/resnet_18_half.py']
