"""What is looked at before a run: the operators, the data, and numbers that have to fit."""

import os
from collections.abc import Iterator, Sequence
from itertools import chain

from mmengine.config import Config

from mmscale.checks.arguments import find_arguments, find_model_arguments
from mmscale.checks.data import find_in_data, find_in_folders
from mmscale.checks.details import find_details
from mmscale.checks.environment import find_in_environment
from mmscale.checks.findings import FAULT, Finding, settle
from mmscale.checks.maps import find_in_maps
from mmscale.checks.norms import find_in_norms
from mmscale.checks.reading import uncollected
from mmscale.checks.schedules import find_in_schedule
from mmscale.checks.sections import find_values
from mmscale.checks.settings import find_in_settings, mend_best, mend_settings
from mmscale.checks.trials import find_in_trials
from mmscale.checks.types import find_types
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError, check_whole, first_line
from mmscale.families import feature_channels, is_backbone
from mmscale.registry import type_name
from mmscale.utils.environment import check_operators

# What takes the backbone's maps in their order, and what takes the last one.
PYRAMIDS = ('FPN', 'PAFPN', 'ChannelMapper')
LINEAR = ('LinearClsHead', 'DropoutLinearClsHead')


def check_run(cfg: Config, splits: Sequence[str]) -> None:
    """Look at the config, mmcv's operators and the data of some splits beforehand.

    Args:
        cfg (mmengine.Config): What is certainly meant otherwise is corrected in it.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.

    Raises:
        UserError: If they do not fit the machine or each other.
    """
    splits = tuple(split for split in splits if split == 'train' or cfg.get(f'{split}_dataloader'))
    settle(find_in_config(cfg, splits))
    settle([*mend_settings(cfg, splits, apply=True), *_mend_best(cfg, splits)])
    task = task_of(cfg)
    if task is DETECTOR:
        check_operators()
    # One process looks at the pictures; if it stops, the launcher stops the others.
    first = int(os.environ.get('RANK', 0)) == 0
    lengths: dict[str, int] = {}
    if task is DETECTOR:
        with uncollected():
            settle(find_in_data(cfg, splits, apply=True, pictures=first, lengths=lengths))
    elif task is CLASSIFIER and first:
        settle(find_in_folders(cfg, splits, lengths=lengths))
    elif task is SEGMENTOR and first:
        settle(find_in_maps(cfg, splits, lengths=lengths))
    if 'train' in splits and first:
        settle(find_in_schedule(cfg, lengths.get('train')))


def find_in_run(
    cfg: Config, splits: Sequence[str], *, deep: bool = False, every: bool = False
) -> Iterator[Finding]:
    """The same as a report, which goes on after a fault; nothing is changed or written.

    Args:
        cfg (mmengine.Config): A detector's, classifier's or segmentor's.
        splits (Sequence[str]): Those of 'train', 'val' and 'test' to be looked at.
        deep (bool): Decode every pixel of every picture.
        every (bool): Read the header of every picture of class folders, however many.
    """
    splits = tuple(split for split in splits if cfg.get(f'{split}_dataloader'))
    found = list(find_in_config(cfg, splits))
    if not splits:
        words = 'the config has no data: no train_dataloader, val_dataloader or test_dataloader'
        found.append(Finding(FAULT, 'section-missing', words))
    yield from found
    if any(
        finding.kind in ('section-value', 'section-missing', 'type-missing') for finding in found
    ):
        return  # of which the rest makes no sense
    yield from mend_settings(cfg, splits, apply=False)
    task = task_of(cfg)
    lengths: dict[str, int] = {}
    if task is DETECTOR:
        yield from find_in_data(cfg, splits, deep=deep, lengths=lengths)
    elif task is CLASSIFIER:
        yield from find_in_folders(cfg, splits, deep=deep, every=every, lengths=lengths)
    elif task is SEGMENTOR:
        yield from find_in_maps(cfg, splits, deep=deep, lengths=lengths)
    if 'train' in splits:
        yield from find_in_schedule(cfg, lengths.get('train'))
    yield from find_in_environment(detects=task is DETECTOR)


def find_in_config(cfg: Config, splits: Sequence[str]) -> Iterator[Finding]:
    """What a config alone tells: its sections, their arguments, settings that contradict."""
    splits = tuple(splits)
    found = list(find_values(cfg))
    found = found or list(find_in_settings(cfg, splits))
    if not any(finding.severity == FAULT for finding in found):
        found += find_types(cfg)
        found += find_arguments(cfg, splits)
        found += find_details(cfg, splits)
    if not found:
        found += find_in_trials(cfg, splits)
    yield from found
    for check in (_check_channels, lambda cfg: _check_counts(cfg, splits)):
        if not any(finding.severity == FAULT for finding in found):
            try:
                check(cfg)
            except UserError as error:
                yield Finding(FAULT, 'numbers', str(error))


def check_model(cfg: Config) -> None:
    """Look at a config's model alone.

    Raises:
        UserError: Its first fault.
    """
    values = list(find_values(cfg))
    steps = () if values else (find_types, find_model_arguments, find_in_norms)
    for finding in chain(values, *(step(cfg) for step in steps)):
        if finding.severity == FAULT:
            raise UserError(finding)
    _check_channels(cfg)


def unfit(cfg: Config, error: Exception) -> UserError:
    """Why a model cannot be built or run: what is wrong with its config, or the error in a line."""
    try:
        check_model(cfg)
    except UserError as fault:
        return fault
    said = str(error).partition('\n')[0] if isinstance(error, TypeError) else first_line(error)
    return UserError(f'the config does not fit: {said}')


def _mend_best(cfg, splits):
    return mend_best(cfg, apply=True) if {'train', 'val'} <= set(splits) else ()


def _check_channels(cfg):
    """Compare a backbone of this package with the parts that take its maps."""
    backbone = cfg.get('model', {}).get('backbone') or {}
    if not is_backbone(backbone):
        return
    named = {**backbone, 'type': type_name(backbone['type'])}
    channels = list(feature_channels(**named))
    for name, kinds, own in (('neck', PYRAMIDS, channels), ('head', LINEAR, channels[-1])):
        part = cfg.model.get(name) or {}
        if isinstance(part, (list, tuple)):  # one after the other
            part, name = part[0], f'{name}.0'
        given = part.get('in_channels', own)
        given = list(given) if isinstance(given, (list, tuple)) else given
        if type_name(part.get('type', '')) in kinds and given != own:
            raise UserError(
                f'model.{name}.in_channels={given}, but the backbone has {own}: '
                f'--cfg-options "model.{name}.in_channels={own}"'
            )
    if not cfg.model.get('neck'):
        for name in ('decode_head', 'auxiliary_head'):
            _check_head(name, cfg.model.get(name), channels)


def _check_head(name, head, channels):
    """Compare what a segmentor's head reads with the maps that it names."""
    if isinstance(head, (list, tuple)):
        for index, inner in enumerate(head):
            _check_head(f'{name}.{index}', inner, channels)
        return
    given = (head or {}).get('in_channels')
    several = isinstance(given, (list, tuple))
    index = (head or {}).get('in_index', range(len(channels)) if several else -1)
    indices = [index] if isinstance(index, int) else list(index)
    if not all(-len(channels) <= i < len(channels) for i in indices):
        raise UserError(
            f'model.{name}.in_index={index}, but the backbone hands out {len(channels)} maps, '
            f'numbered from 0: --cfg-options "model.{name}.in_index={[*range(len(channels))]}"'
        )
    if given is None:
        return
    own = channels[index] if isinstance(index, int) else [channels[i] for i in indices]
    if (list(given) if several else given) != own:
        raise UserError(
            f'model.{name}.in_channels={given}, but the maps that it reads of the backbone have '
            f'{own}: --cfg-options "model.{name}.in_channels={own}"'
        )


def _check_counts(cfg, splits):
    """Compare with 1 what mmengine divides by or counts up to."""
    counts = {f'{split}_dataloader': 'batch_size' for split in splits}
    for part, name in {**counts, 'optim_wrapper': 'accumulative_counts'}.items():
        check_whole(f'{part}.{name}', (cfg.get(part) or {}).get(name, 1))
    for split in splits:
        workers = (cfg.get(f'{split}_dataloader') or {}).get('num_workers', 0)
        check_whole(f'{split}_dataloader.num_workers', workers, least=0)
