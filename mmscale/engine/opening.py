"""What a training run is about to do, in the first lines of its log."""

from collections.abc import Iterator, Sized
from typing import Any, cast

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmscale.engine.counting import backbone_macs
from mmscale.engine.hooks import inner_model
from mmscale.engine.pipelines import last_size
from mmscale.engine.tasks import CLASSIFIER, task_of
from mmscale.families import is_backbone
from mmscale.registry import type_name
from mmscale.utils.configs import sets_with_pipeline
from mmscale.utils.words import counted

SHOWN = 4  # classes that are named


class OpeningHook(Hook):
    """Says what is about to happen: data, model, batch, learning rate, length, results.

    Args:
        tuning (str, optional): What was chosen for the machine, which is said last.
    """

    priority = 'VERY_LOW'  # the schedules and the scaled learning rate are there

    def __init__(self, tuning: str | None = None) -> None:
        self.tuning = tuning

    def before_train(self, runner: Runner) -> None:
        """Say it."""
        lines = [*describe(runner), *([('tuning', self.tuning)] if self.tuning else [])]
        for name, text in lines:
            runner.logger.info(f'{name:<8} {text}')


def describe(runner: Runner) -> Iterator[tuple[str, str]]:
    """The lines of a run whose training is about to begin, by name.

    Args:
        runner (mmengine.runner.Runner): With its training loop built.

    Yields:
        tuple[str, str]: What it is about, and the text.
    """
    yield 'data', _data(runner)
    yield 'model', _model(runner)
    yield 'batch', _batch(runner)
    yield 'rate', _rate(runner)
    yield 'length', _length(runner)
    yield 'results', f'{runner.work_dir}: log and curves in {runner.timestamp}/, checkpoints'


def _data(runner):
    dataset = cast(Any, runner.train_dataloader.dataset)
    names = getattr(dataset, 'metainfo', {}).get('classes') or ()
    text = f'{counted(len(dataset), "picture")} to train on'
    if names:
        more = ', ...' if len(names) > SHOWN else ''
        text += f', {counted(len(names), "class", "classes")} ({", ".join(names[:SHOWN])}{more})'
    validated = runner.val_loop and cast(Sized, runner.val_dataloader.dataset)
    return text + (f'; {len(validated):,} to validate on' if validated else '; no validation')


def _model(runner):
    model = inner_model(runner.model)
    numbers = [(p.numel(), p.requires_grad) for p in model.parameters()]
    whole = sum(number for number, _ in numbers)
    trained = sum(number for number, learns in numbers if learns)
    text = f'{type(model).__name__}, {whole / 1e6:.1f} M parameters'
    if trained < whole:
        text += f', {trained / 1e6:.1f} M of them trained'
    backbone = (runner.cfg.get('model') or {}).get('backbone') or {}
    if is_backbone(backbone):
        height, width = _counted_size(runner.cfg)
        macs = backbone_macs({**backbone, 'init_cfg': None}, (height, width)) / 1e9
        amount = f'{macs:.1f}' if macs >= 0.1 else f'{macs:.2g}'
        text += f'; {type_name(backbone["type"])}: {amount} G multiply-adds at {height} x {width}'
    return text


def _counted_size(cfg):
    """Height and width: a classifier's that it is tested on, of others that of their task."""
    task = task_of(cfg)
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    tested = next(sets_with_pipeline(loader.get('dataset')), None)
    fixed = last_size(tested.pipeline) if tested and task is CLASSIFIER else None
    return fixed or (task.shape[0], task.shape[-1])


def _batch(runner):
    loader = runner.train_dataloader
    sampler = getattr(loader, 'batch_sampler', None)
    size = loader.batch_size or getattr(sampler, 'batch_size', None)
    processes = get_world_size()
    steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    text = f'{counted(size * processes * steps, "picture") if size else "? pictures"} a step'
    factors = [f'{processes} processes'] * (processes > 1) + [f'{steps} batches'] * (steps > 1)
    if factors:
        text += f' ({size} in each of {" and ".join(factors)})'
    return f'{text}, on {next(runner.model.parameters()).device}'


def _rate(runner):
    wrappers = runner.optim_wrapper
    wrappers = list(wrappers.values()) if hasattr(wrappers, 'optim_wrappers') else [wrappers]
    texts = []
    for wrapper in wrappers:
        # Schedules have put their first value into `lr`.
        rates = {group.get('initial_lr', group['lr']) for group in wrapper.param_groups}
        parts = f' ({len(rates)} rates, from {min(rates):.3g})' if len(rates) > 1 else ''
        texts.append(f'{type(wrapper.optimizer).__name__}, learning rate {max(rates):.3g}{parts}')
    scaling = runner.cfg.get('auto_scale_lr') or {}
    if scaling.get('enable'):
        texts[-1] += f', scaled from a batch of {scaling["base_batch_size"]:g}'
    return '; '.join(texts)


def _length(runner):
    loop = runner.train_loop
    text = counted(runner.max_iters, 'step')
    if isinstance(loop, EpochBasedTrainLoop):
        text += f' ({counted(runner.max_epochs, "epoch")} of {len(loop.dataloader):,})'
    if runner.iter:
        text += f', {runner.iter:,} of them done'
    if runner.val_loop is not None:
        unit = 'epoch' if isinstance(loop, EpochBasedTrainLoop) else 'step'
        many = loop.val_interval > 1
        text += f'; validation every {f"{loop.val_interval:,} {unit}s" if many else unit}'
    return text
