"""What is looked at before a run: the operators, the data, and numbers that have to fit."""

import os
from collections.abc import Iterator, Sequence

from mmengine.config import Config

from mmscale.checks.data import find_in_data, find_in_folders
from mmscale.checks.findings import FAULT, Finding, settle
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, task_of
from mmscale.errors import UserError, check_whole
from mmscale.families import feature_channels, is_backbone
from mmscale.registry import type_name
from mmscale.utils.environment import check_operators

# What takes the backbone's maps in their order, and what takes the last one.
PYRAMIDS = ('FPN', 'PAFPN', 'ChannelMapper')
LINEAR = ('LinearClsHead', 'DropoutLinearClsHead')


def check_run(cfg: Config, splits: Sequence[str]) -> None:
    """Look at mmcv's operators and the data of some splits ('train', 'val', 'test') beforehand.

    Raises:
        UserError: If they do not fit the machine or the config.
    """
    _check_channels(cfg)
    _check_counts(cfg, splits)
    task = task_of(cfg)
    if task is DETECTOR:
        check_operators()
    # One process looks at the pictures; if it stops, the launcher stops the others.
    first = int(os.environ.get('RANK', 0)) == 0
    if task is DETECTOR:
        settle(find_in_data(cfg, splits, apply=True, pictures=first))
    elif task is CLASSIFIER and first:
        settle(find_in_folders(cfg, splits))


def find_in_run(
    cfg: Config, splits: Sequence[str], *, deep: bool = False, every: bool = False
) -> Iterator[Finding]:
    """The same, and more slowly, as a report that goes on after a fault.

    Args:
        cfg (mmengine.Config): A detector's or classifier's; nothing is changed or written.
        splits (Sequence[str]): Those of 'train', 'val' and 'test' to be looked at.
        deep (bool): Decode every pixel of every picture.
        every (bool): Read the header of every picture of class folders, however many.
    """
    for check in (_check_channels, lambda cfg: _check_counts(cfg, splits)):
        try:
            check(cfg)
        except UserError as error:
            yield Finding(FAULT, 'numbers', str(error))
    task = task_of(cfg)
    if task is DETECTOR:
        yield from find_in_data(cfg, splits, deep=deep)
    elif task is CLASSIFIER:
        yield from find_in_folders(cfg, splits, deep=deep, every=every)


def _check_channels(cfg):
    """Compare a backbone of this package with the pyramid or classifier that takes its maps."""
    backbone = cfg.get('model', {}).get('backbone') or {}
    if not is_backbone(backbone):
        return
    named = {**backbone, 'type': type_name(backbone['type'])}
    channels = list(feature_channels(**named))
    for name, kinds, own in (('neck', PYRAMIDS, channels), ('head', LINEAR, channels[-1])):
        part = cfg.model.get(name) or {}
        given = part.get('in_channels', own)
        given = list(given) if isinstance(given, (list, tuple)) else given
        if type_name(part.get('type', '')) in kinds and given != own:
            raise UserError(
                f'model.{name}.in_channels={given}, but the backbone has {own}: '
                f'--cfg-options "model.{name}.in_channels={own}"'
            )


def _check_counts(cfg, splits):
    """Compare with 1 what mmengine divides by or counts up to."""
    counts = {f'{split}_dataloader': 'batch_size' for split in splits}
    for part, name in {**counts, 'optim_wrapper': 'accumulative_counts'}.items():
        check_whole(f'{part}.{name}', (cfg.get(part) or {}).get(name, 1))
