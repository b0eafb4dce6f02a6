"""Calibrated norms for SAN at resolutions that it was not trained at (paper, section 3.4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed

from mmscale import checkpoints
from mmscale.engine.building import build_model
from mmscale.engine.checks import check_run
from mmscale.engine.config import load_config
from mmscale.engine.tasks import CLASSIFIER, task_of
from mmscale.errors import UserError, check_whole, is_whole
from mmscale.models.backbones.san import SAN, ResolutionNorm, Scale, resized
from mmscale.utils.files import check_out, written_aside
from mmscale.utils.progress import track

BATCHES = 100
SEED = 0


class Calibrated(NamedTuple):
    """The file `out`, a checkpoint of the same SAN with these `resolutions`."""

    out: Path
    resolutions: tuple


def check_calibration(resolutions: Sequence[int], batches: int) -> None:
    """Check resolutions in pixels and a number of batches.

    Raises:
        UserError: If one of them is something else.
    """
    smallest = SAN.min_size
    if not resolutions or any(not is_whole(r, smallest) for r in resolutions):
        raise UserError(f'resolutions {[*resolutions]} must be integers of at least {smallest} px')
    check_whole('batches', batches)


def training_batches(cfg: Config, count: int) -> Iterator[dict[str, Any]]:
    """The first batches of a config's training set, shuffled and changed the same way every time.

    A batch of a single image is left out: its smallest maps have no variance.
    """
    set_random_seed(SEED)
    loader = Runner.build_dataloader(deepcopy(cfg.train_dataloader), seed=SEED)
    return (batch for batch in islice(loader, count) if len(batch['inputs']) > 1)


def calibrate(model: Any, batches: Iterable[dict[str, Any]], resolution: int) -> None:
    """Take the statistics of the norms of the nearest trained resolution anew, in place.

    The weights are generated for `resolution`; means and variances become plain averages over the
    batches. Nothing else changes.

    Args:
        model (SANClassifier): On its device.
        batches (Iterable[dict]): As a loader of training images gives them; at least one.
        resolution (int): In pixels; the images are resized to it.

    Raises:
        UserError: If there are no batches.
    """
    backbone = model.backbone
    nearest = backbone.nearest(resolution)
    scale = Scale(resolution / backbone.encoding_base, nearest, nearest, 0.0)
    norms = [m.norms[nearest] for m in backbone.modules() if isinstance(m, ResolutionNorm)]
    count = 0
    with _averaging(norms), torch.no_grad():
        for batch in track(batches, f'calibrating for {resolution} px'):
            images = model.data_preprocessor(batch, training=True)['inputs']
            backbone.extract(resized(images, resolution), scale)
            count += 1
    if not count:
        raise UserError('there are no batches of two images or more to calibrate the norms with')


@contextmanager
def _averaging(norms):
    """Have norms count their statistics anew, all batches alike."""
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain average
        norm.train()
    try:
        yield
    finally:
        for norm, (momentum, training) in zip(norms, before):
            norm.momentum = momentum
            norm.train(training)


def calibrate_checkpoint(
    config: str,
    checkpoint: str,
    resolutions: Sequence[int],
    out: str | Path,
    *,
    batches: int = BATCHES,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Calibrated:
    """Write a checkpoint of a SAN that has norms of its own for more resolutions.

    Args:
        config, checkpoint, trust_checkpoint, overrides: As in
            :func:`mmscale.engine.testing.evaluate`.
        resolutions (Sequence[int]): To be added, in pixels.
        out (str): The file to write.
        batches (int): Of training images, for each resolution.

    Returns:
        Calibrated: The file, and what ``model.backbone.resolutions`` has to be for it.

    Raises:
        UserError: If config, checkpoint or arguments do not fit.
    """
    cfg = load_config(config, overrides)
    out = check_out(out, ('.pth', '.pt'), inputs=[checkpoint, config])
    check_calibration(resolutions, batches)
    if task_of(cfg) is not CLASSIFIER:
        raise UserError(f'{config} does not describe a classifier: norms are calibrated on those')
    check_run(cfg, ('train',))
    model = build_model(cfg)
    known = getattr(model.backbone, 'resolutions', ())
    if not isinstance(model.backbone, SAN):
        raise UserError(f'the backbone of {config} is not a SAN, and has no norms to calibrate')
    if set(resolutions) & set(known) or len(set(resolutions)) < len(resolutions):
        raise UserError(f'resolutions {[*resolutions]} must be new ones; {config} has {[*known]}')
    checkpoints.load(model, checkpoint, trust=trust_checkpoint, whole=True)
    model.to('cuda' if torch.cuda.is_available() else 'cpu')
    state = model.state_dict()
    for number, resolution in enumerate(resolutions, len(known)):
        changed = deepcopy(model)
        nearest = model.backbone.nearest(resolution)
        calibrate(changed, training_batches(cfg, batches), resolution)
        for name, value in changed.state_dict().items():
            if f'.norms.{nearest}.' in name:
                state[name.replace(f'.norms.{nearest}.', f'.norms.{number}.')] = value
    state = {name: value.cpu() for name, value in state.items()}
    with written_aside(out) as temporary:
        meta = dict(source=str(checkpoint), resolutions=[*known, *resolutions])
        torch.save(dict(state_dict=state, meta=meta), temporary)
    return Calibrated(out, (*known, *resolutions))
