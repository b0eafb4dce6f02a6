"""What training and testing share: a config made ready for a run, and mmengine's Runner."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmscale.engine.building import BUILDING
from mmscale.engine.config import config_stem, load_config
from mmscale.engine.saving import save_whole
from mmscale.errors import UserError, first_line
from mmscale.utils.files import cannot_write, writing

# How mmengine's listings and its advice to programmers begin: a thousand lines, for the log's file.
LISTED = (
    'System environment:',
    'Config:',
    'Distributed training is not used',
    'Hooks will be executed',
    'paramwise_options',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
# What each launcher sets in the processes that it starts.
STARTED = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}
RUNS: Counter[str] = Counter()  # of this process, by the second in which they began


def prepare(
    config: str, overrides: Mapping[str, Any] | None, work_dir: Any, launcher: str
) -> Config:
    """Read a config and say where its run goes and in which processes.

    Args:
        config, overrides: As in :func:`mmscale.engine.config.load_config`.
        work_dir (str | Path, optional): Default: the config's own, or ``work_dirs/CONFIG``.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        UserError: If there is no such config, or this process was not started by the launcher.
    """
    cfg = load_config(config, overrides)
    variable = STARTED.get(launcher)
    if variable and variable not in os.environ:
        raise UserError(
            f'--launcher {launcher} is for processes that a launcher has started, and {variable} '
            'is not set: mmscale launch starts several here'
        )
    cfg.launcher = launcher
    if launcher == 'pytorch' and not torch.cuda.is_available():
        _join_cpu_processes(cfg)
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or Path('work_dirs', config_stem(config)))
    save_whole(cfg)
    return cfg


def _join_cpu_processes(cfg):
    """Connect the processes by gloo: mmengine by itself starts distributed runs on GPUs only."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    # mmengine's own wrapper names a GPU by the process's number.
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None)
    cfg.model_wrapper_cfg = {**wrapper, **cfg.get('model_wrapper_cfg', {})}


def build_runner(cfg: Config, *, testing: bool = False) -> Runner:
    """The Runner of a config.

    Args:
        cfg (mmengine.Config): As :func:`prepare` makes it.
        testing (bool): Leave the config alone that training has written to the work dir.

    Raises:
        UserError: If a part of the config does not take its arguments, or the work dir cannot be
            written.
    """
    try:
        with writing(cfg.work_dir):
            return (_Tester if testing else _Runner).from_cfg(cfg)
    except (UserError, ImportError):
        raise  # which say what to do
    except BUILDING as error:
        raise UserError(f'the config does not fit: {first_line(error)}') from error


class _Runner(Runner):
    """mmengine's, for several runs in one process, and with a log file that may fail."""

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        super().setup_env(env_cfg)
        # mmengine names a run by the second and keeps what logs by that name: of two that begin in
        # one second, the later would log into the folder of the earlier.
        RUNS[self._timestamp] += 1
        if (number := RUNS[self._timestamp]) > 1:
            self._timestamp += f'_{number}'

    def build_visualizer(self, visualizer: Any = None) -> Visualizer:
        # mmengine keeps visualizers by name: under the fixed one of mmdet's configs, a second run
        # in this process would log into the folder of the first.
        if isinstance(visualizer, dict):
            visualizer = {**visualizer, 'name': self._experiment_name}
        return super().build_visualizer(visualizer)

    def build_logger(self, *args: Any, **options: Any) -> MMLogger:
        logger = super().build_logger(*args, **options)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                # Python's own prints a traceback for each line of the log.
                handler.handleError = partial(_say_once, handler, [])  # type: ignore[method-assign]
            elif _unlisted not in handler.filters:
                handler.addFilter(_unlisted)
        return logger


class _Tester(_Runner):
    """The same, which writes its config beside its log."""

    @master_only
    def dump_config(self) -> None:
        # In the work dir lies that of the training, from which others go on.
        self.cfg.dump(Path(self.log_dir, Path(self.cfg.filename or 'config.py').name))


def _unlisted(record):
    return not record.getMessage().lstrip('\n-').startswith(LISTED)


def _say_once(handler, said, record):
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        logging.Handler.handleError(handler, record)
    elif not said:
        said.append(error)
        print(f'{cannot_write(handler.baseFilename, error)}; the log goes on here', file=sys.stderr)
