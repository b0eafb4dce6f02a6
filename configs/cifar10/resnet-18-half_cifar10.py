"""ResNet-18 of half the width, whose cost is near ReXNet 0.9's: to compare with."""

_base_ = ['../_base_/cifar10.py', '../_base_/resnet_18_half.py']
