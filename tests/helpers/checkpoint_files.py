"""Checkpoints for tests: of other programs, small ones, and wrong ones of every kind."""

import zipfile

import golden
import torch
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS
from safetensors.torch import save_file

CASES = {
    'rexnet_1.0_224x224': dict(type='mmscale.ReXNet', width_mult=1.0),
    'rexnet_lite_1.0_224x224': dict(type='mmscale.ReXNetLite', width_mult=1.0),
    'timm_rexnet_100': dict(type='mmscale.ReXNet', width_mult=1.0),
    'scalenet50_light_224x224': dict(type='mmscale.ScaleNet', structure='scalenet50_light'),
}
CASE = 'rexnet_1.0_224x224'


def save(state_dict, path):
    if path.suffix == '.safetensors':
        save_file({key: value.contiguous() for key, value in state_dict.items()}, path)
    else:
        torch.save(state_dict, path)
    return str(path)


def pretrained(config, path, **options):
    """A float64 backbone with the file's weights."""
    init_cfg = dict(type='Pretrained', checkpoint=str(path), **options)
    model = MODELS.build(dict(**config, init_cfg=init_cfg)).double()
    model.init_weights()
    return model.eval()


def small_state(value=0.5, **config):
    """A float32 backbone of the smallest kind, and its state dict with one recognisable value."""
    model = MODELS.build(dict(type='mmscale.ReXNet', width_mult=0.9, **config))
    state = model.state_dict()
    state['stem.conv.weight'] = torch.full_like(state['stem.conv.weight'], value)
    return model, state


def holds(model, value=0.5):
    return bool((model.state_dict()['stem.conv.weight'] == value).all())


def check_golden(case, features=None, logits=None):
    reference = golden.Golden(case)
    if features is not None:
        for name, feature in zip(('stride4', 'stride8', 'stride16', 'stride32'), features):
            assert reference.error(name, feature) <= 1e-9
    if logits is not None:
        assert reference.error('logits', logits) <= 1e-9


def malicious(marker):
    """An object whose unpickling creates the file `marker`."""

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), 'w'))

    return Bomb()


class History:
    """Asks for mmengine's own way in, getattr, to reach further."""

    def __reduce__(self):
        return (getattr, (HistoryBuffer, '__init__'))


def resnet50():
    from torchvision.models import resnet50

    with torch.device('meta'):
        state = resnet50().state_dict()
    return {key: torch.zeros(value.shape) for key, value in state.items()}


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def file_of(kind, folder):
    """Write one wrong file; every kind has words that its message must have."""
    path = folder / 'weights.pth'
    _, state = small_state()
    if kind == 'other width':
        save(golden.state_dict(CASE), path)
    elif kind == 'other family':
        save(golden.state_dict('scalenet50_light_224x224'), path)
    elif kind == 'foreign':
        save(resnet50(), path)
    elif kind == 'strange names':
        save({'encoder.weight': torch.zeros(3)}, path)
    elif kind == 'incomplete':
        save({k: v for k, v in state.items() if 'stages.3.0' not in k}, path)
    elif kind == 'truncated':
        save(state, path)
        cut(path)
    elif kind == 'truncated, old format':
        torch.save(state, path, _use_new_zipfile_serialization=False)
        cut(path)
    elif kind == 'truncated safetensors':
        cut(type(path)(save(state, folder / 'weights.safetensors'))).rename(path)
    elif kind == 'HTML':
        path.write_text('\n<!DOCTYPE html><html><body>Sign in</body></html>')
    elif kind == 'pointer':
        path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    elif kind == 'code':
        save({'state_dict': state, 'extra': malicious(folder / 'ran')}, path)
    elif kind == 'code, old format':
        content = {'state_dict': state, 'extra': malicious(folder / 'ran')}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif kind == 'getattr':
        save({'state_dict': state, 'extra': History()}, path)
    elif kind == 'whole model':
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == 'list':
        torch.save([torch.zeros(2)], path)
    elif kind == 'no tensors':
        torch.save({'epoch': 3}, path)
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('readme.txt', 'hello')
    elif kind == 'program':
        torch.jit.script(torch.nn.ReLU()).save(str(path))
    elif kind == 'text':
        path.write_text('{"weights": 1}')
    elif kind == 'folder':
        path.mkdir()
    return path
