"""Golden cases: the rule that makes weights and inputs from names, and the figures to match."""

import json
import zlib

import numpy as np
import torch
from commands import ROOT
from mmengine.config import Config
from mmengine.registry import DefaultScope

FOLDER = ROOT / 'tests' / 'data' / 'goldens'
# The classification config that has each case's network.
CONFIGS = {
    'rexnet_0.9_224x224': 'rexnet-090',
    'rexnet_1.0_224x224': 'rexnet-100',
    'rexnet_1.0_224x224_times10': 'rexnet-100',
    'rexnet_1.0_200x304': 'rexnet-100',
    'rexnet_1.5_224x224': 'rexnet-150',
    'rexnet_lite_1.0_224x224': 'rexnet-lite-100',
    'rexnet_lite_1.5_224x224': 'rexnet-lite-150',
    'timm_rexnet_100': 'rexnet-100',
    'timm_rexnet_150': 'rexnet-150',
    'scalenet50_224x224': 'scalenet-50',
    'scalenet50_233x301': 'scalenet-50',
    'scalenet50_256x320': 'scalenet-50',
    'scalenet50_light_224x224': 'scalenet-50-light',
    'scalenet50_light_train_224x224': 'scalenet-50-light',
    'scalenet101_224x224': 'scalenet-101',
}
SAN_CONFIGS = {
    'san_resnet18': 'san-resnet-18',
    'san_resnet50': 'san-resnet-50',
    'san_resnext50_32x4d': 'san-resnext-50-32x4d',
    'san_mobilenetv2': 'san-mobilenet-v2',
}


def value(key, shape):
    """The float64 array that the rule gives the state dict's entry `key` of `shape`."""
    normal = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    leaf = key.rpartition('.')[2]
    if leaf == 'num_batches_tracked':
        return np.zeros(shape, np.int64)
    if leaf == 'running_var':
        return 1 + 0.1 * abs(normal)
    if leaf in ('running_mean', 'bias'):
        return normal * (0.02 if normal.size > 4096 else 0.1)
    if len(shape) == 1:  # a norm's scale
        return 1 + 0.1 * normal
    if len(shape) == 2 and shape[1] == 1:  # a generator's slopes
        return 0.02 * normal
    return normal * np.sqrt(1 / np.prod(shape[1:]))


def tensor(key, shape):
    return torch.from_numpy(np.asarray(value(key, shape)))


def image(batch, height, width):
    """The (batch, 3, height, width) float64 input, seeded by its own shape."""
    shape = (batch, 3, height, width)
    return torch.from_numpy(np.random.default_rng([batch, height, width]).standard_normal(shape))


def shapes(case):
    """Shapes of the reference's state dict, by key."""
    text = (FOLDER / 'shapes' / f'{case}.json').read_text()
    return {key: tuple(shape) for key, shape in json.loads(text).items()}


def state_dict(case):
    """The reference's state dict, with its own keys."""
    return {key: tensor(key, shape) for key, shape in shapes(case).items()}


class Golden:
    """One case: its input and how far an output is from the reference's."""

    def __init__(self, case):
        with np.load(FOLDER / f'{case}.npz') as arrays:
            self.arrays = dict(arrays)
        self.meta = json.loads(str(self.arrays['meta']))

    @property
    def image(self):
        size = [self.meta[key] for key in ('batch', 'height', 'width')]
        return image(*size) * self.meta.get('input_factor', 1)

    @property
    def names(self):
        """Names of all outputs."""
        return [key.removesuffix('/value') for key in self.arrays if key.endswith('/value')]

    def error(self, name, output):
        """max|difference| / absmax of the output called `name`."""
        assert tuple(output.shape) == tuple(self.arrays[f'{name}/shape'])
        sample = output.detach().double().numpy().reshape(-1)[self.arrays[f'{name}/index']]
        return abs(sample - self.arrays[f'{name}/value']).max() / self.arrays[f'{name}/absmax']


def build_classifier(config, num_classes=1000, **backbone):
    """The mmpretrain model of ``configs/classification/{config}_in1k.py``."""
    from mmpretrain.registry import MODELS

    model = Config.fromfile(ROOT / 'configs' / 'classification' / f'{config}_in1k.py').model
    model.backbone.update(backbone)
    model.head.num_classes = num_classes
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(model)
