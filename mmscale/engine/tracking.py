"""Experiment trackers by one word: mmengine's own backends, put into a run's visualizer."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmscale.errors import UserError
from mmscale.registry import type_name
from mmscale.utils.environment import require_optional

# The backend of mmengine and the package that it imports.
TRACKERS = {
    'tensorboard': ('TensorboardVisBackend', 'tensorboard'),
    'wandb': ('WandbVisBackend', 'wandb'),
    'mlflow': ('MLflowVisBackend', 'mlflow'),
}


def track(cfg: Config, trackers: Sequence[str]) -> None:
    """Have a run's losses, metrics and config go to experiment trackers too.

    Args:
        cfg (mmengine.Config): The run's, with its work dir; it is changed. A tracker that it names
            already stays as it is.
        trackers (Sequence[str]): Of 'tensorboard', 'wandb' and 'mlflow'. Where they write to is
            said by their own environment variables (``WANDB_MODE``, ``WANDB_PROJECT``,
            ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``).

    Raises:
        UserError: If there is no such tracker, or its package is not installed.
    """
    for tracker in trackers:
        if tracker not in TRACKERS:
            raise UserError(f'--track {tracker!r} must be one of {", ".join(TRACKERS)}')
        backend, package = TRACKERS[tracker]
        require_optional(package, f'--track {tracker}')
        visualizer = cfg.get('visualizer') or dict(type='Visualizer')
        backends = visualizer.get('vis_backends') or [dict(type='LocalVisBackend')]
        if backend not in [type_name(known.get('type', '')) for known in backends]:
            backends = [*backends, dict(type=backend, **_settings(tracker, cfg))]
        cfg.visualizer = {**visualizer, 'vis_backends': backends}


def _settings(tracker: str, cfg: Config) -> dict[str, Any]:
    """What mmengine's backend does not find out by itself: names, and its package's variables."""
    work_dir = Path(cfg.work_dir)
    if tracker == 'wandb':
        return dict(init_kwargs=dict(name=work_dir.name))
    if tracker == 'mlflow':
        server, folder = os.environ.get('MLFLOW_TRACKING_URI'), work_dir.absolute()
        if not server:  # mmengine would give it a folder, which MLflow 3 refuses
            require_optional('sqlalchemy', '--track mlflow without MLFLOW_TRACKING_URI')
        return dict(
            tracking_uri=server or f'sqlite:///{folder / "mlflow.db"}',
            artifact_location=None if server else (folder / 'mlflow').as_uri(),
            exp_name=os.environ.get('MLFLOW_EXPERIMENT_NAME', 'mmscale'),
            run_name=work_dir.name,
        )
    return {}
