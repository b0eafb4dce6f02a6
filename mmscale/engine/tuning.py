"""What a run on a CPU gets without asking: memory that is kept, its layout, a fused model."""

import os
from collections.abc import Sized
from ctypes import CDLL
from typing import Any, cast

from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner

from mmscale.deploy import fuse
from mmscale.deploy.fusing import use_row_roi_aligns
from mmscale.deploy.native import library, use_native_norms
from mmscale.engine.hooks import ChannelsLastHook, inner_model
from mmscale.errors import UserError, check_choice, first_line
from mmscale.models.backbones.base import Backbone
from mmscale.models.backbones.san.base import SAN

SWITCH = 'MMSCALE_TUNING'  # 'off': everything as the config and the system have it
# Of glibc's malloc.h, with the environment variables that say the same.
ALLOCATOR = {'MALLOC_TRIM_THRESHOLD_': -1, 'MALLOC_MMAP_THRESHOLD_': -3}
MOST = 2**31 - 1
# Fewer pictures are done before a fused copy has paid for being made.
FEW = 20


def is_tuned() -> bool:
    """Whether a run may choose: on a CPU, unless ``MMSCALE_TUNING=off``.

    Raises:
        UserError: If that variable is something else than 'on' or 'off'.
    """
    chosen = os.environ.get(SWITCH, 'on')
    check_choice(SWITCH, chosen, ('on', 'off'))
    return chosen == 'on' and get_device() == 'cpu'


def tune_training(runner: Runner) -> str | None:
    """Choose for a run that is about to train: the allocator, the layout, kernels of its own.

    Args:
        runner (mmengine.runner.Runner): It gets a hook.

    Returns:
        str, optional: What was chosen, in words.
    """
    if not is_tuned():
        return None
    chosen = ['freed memory is kept'] if keep_memory() else []
    if use_row_roi_aligns(inner_model(runner.model)):
        chosen.append('RoIAlign on all cores')
    if _suits_channels_last(runner):
        runner.register_hook(ChannelsLastHook())
        chosen.append('channels-last memory')
        if _compiles() and use_native_norms(inner_model(runner.model)):
            chosen.append('norms in C++')
    return f'{", ".join(chosen)} (CPU; not with {SWITCH}=off)' if chosen else None


def keep_memory() -> bool:
    """Have glibc keep freed memory for the next large tensor; whether that was possible.

    It gives it back to the system otherwise, and gets it again page by page, emptied.
    """
    if ALLOCATOR.keys() & os.environ.keys():
        return False
    try:
        mallopt = CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # another C library
        return False
    return all(mallopt(option, MOST) for option in ALLOCATOR.values())


def _suits_channels_last(runner):
    """Whether the layout was measured to be faster, is safe, and not there already.

    Code of the user's own may call mmcv's operators as functions, which read that layout wrongly.
    """
    there = any(isinstance(hook, ChannelsLastHook) for hook in runner.hooks)
    backbone = getattr(inner_model(runner.model), 'backbone', None)
    imports = (runner.cfg.get('custom_imports') or {}).get('imports') or []
    names = [imports] if isinstance(imports, str) else imports
    foreign = [name for name in names if name.partition('.')[0] != 'mmscale']
    return isinstance(backbone, Backbone) and not there and not foreign


def fused_on_cpu(model: Any, pictures: int) -> Any:
    """The inference copy of a model with a backbone of this package, if it pays; or the model.

    Args:
        model (nn.Module): With its weights.
        pictures (int): That it is for.
    """
    backbone = getattr(model, 'backbone', None)
    own = isinstance(backbone, Backbone) and not isinstance(backbone, SAN)  # of one resolution
    if pictures < FEW or not own or not is_tuned():
        return model
    try:
        fused, how = _fused(model)
    except UserError as error:
        print_log(f'the model is not fused: {first_line(error)}', logger='current')
        return model
    print_log(f'on the CPU: the model is fused{how} ({SWITCH}=off: as it is)', logger='current')
    return fused


def _fused(model):
    """The fused model, in C++ where that can be compiled; and how, in words."""
    if not _compiles():
        return fuse(model), ''
    return fuse(model, native=True), ', with C++ for this processor'


def _compiles():
    """Whether there is C++: it is optional here, and there may be no compiler."""
    try:
        library()
    except UserError:
        return False
    return True


class FusedHook(Hook):
    """Has a test run the inference copy of its model, where :func:`fused_on_cpu` makes one."""

    priority = 'VERY_LOW'  # averaged weights are in their place

    def before_test_epoch(self, runner: Runner) -> None:
        """Put it in the model's place, in that of the model of test-time augmentation too."""
        pictures = len(cast(Sized, runner.test_dataloader.dataset))
        if isinstance(runner.model, BaseTTAModel):
            runner.model.module = fused_on_cpu(runner.model.module, pictures)
        elif not is_model_wrapper(runner.model):  # several processes
            runner.model = fused_on_cpu(runner.model, pictures)
