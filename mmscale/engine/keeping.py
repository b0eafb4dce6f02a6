"""What a test leaves for its report, in the folder ``last_test`` of its work dir.

``test.json`` says what was tested, how, and with which figures; it is written last, so that a
folder with it is complete. Beside it is what :mod:`mmscale.evaluation.keeping` writes and, of a
detector, its results in COCO's format (``predictions.bbox.json``, ``predictions.segm.json``).
"""

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmscale.engine.counting import count
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError, first_line, without_secrets
from mmscale.evaluation.keeping import KeptAnswers, KeptMaps, KeptPictures, write_json
from mmscale.registry import type_name
from mmscale.utils.configs import sets_with_pipeline
from mmscale.utils.environment import FORKS, UPSTREAM, installed
from mmscale.utils.files import writing
from mmscale.version import __version__

FOLDER = 'last_test'
RECORD = 'test.json'
FORMAT = 1
RESULTS = 'predictions'
COCO_METRICS = ('CocoMetric', 'FasterCocoMetric')


def coco_metrics(cfg: Config) -> list[Any]:
    """The metrics of COCO in a config's test evaluator."""
    given = cfg.test_evaluator
    evaluators = given if isinstance(given, list) else [given]
    return [metric for metric in evaluators if type_name(metric.type) in COCO_METRICS]


class Keeping:
    """Keeps what a report needs of the test of a config.

    Args:
        cfg (mmengine.Config): Ready for the run, whose model is still the config's: it is counted
            here. A detector's metric is told where to write its results, unless it knows.
        config (str): The config's path or name, as it was given.
        checkpoint (str): Likewise.

    Raises:
        UserError: If there is no report for such a model or metric.
    """

    def __init__(self, cfg: Config, config: str, checkpoint: str) -> None:
        self.cfg, self.task = cfg, task_of(cfg)
        self.folder = Path(cfg.work_dir) / FOLDER
        self.coco: Any = None
        if self.task is DETECTOR:
            found = coco_metrics(cfg)
            if not found or found[0].get('format_only'):
                raise UserError(
                    '--report: the test evaluator has no CocoMetric that evaluates, whose results '
                    'the report of a detector is made of: give it one, or test without --report'
                )
            self.coco = found[0]
        elif self.task not in (CLASSIFIER, SEGMENTOR):
            raise UserError(
                f'--report: there is none for a model of {self.task.package}; test without it'
            )
        self.record = {
            'format': FORMAT,
            'task': self.task.name,
            'config': str(config),
            'checkpoint': without_secrets(str(checkpoint)),
            'command': without_secrets(
                shlex.join([*Path(sys.argv[0]).name.split(), *sys.argv[1:]])
            ),
            'cost': _cost(cfg),
            'versions': _versions(),
            'trained_on': _annotations(cfg),
        }

    def name_results(self) -> None:
        """Have COCO's results written, before the metric is built."""
        if self.coco is not None and not self.coco.get('outfile_prefix'):
            self.coco.outfile_prefix = str(self.folder / RESULTS)

    def begin(self, runner: Runner) -> None:
        """Make the folder, without what an earlier test left there, and have samples kept."""
        if is_main_process():
            with writing(self.folder):
                (self.folder / RECORD).unlink(missing_ok=True)
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True)
        kept: Any
        if self.task is DETECTOR:
            kept = KeptPictures(self.folder)
        elif self.task is CLASSIFIER:
            kept = KeptAnswers(self.folder)
        else:
            given = runner.test_evaluator.metrics[0]
            kept = KeptMaps(self.folder, getattr(given, 'ignore_index', 255))
        meta = getattr(runner.test_loop.dataloader.dataset, 'metainfo', {})
        kept.dataset_meta = meta
        self.record['classes'] = list(meta.get('classes') or ())
        self.record['palette'] = _colours(meta.get('palette'))
        runner.test_evaluator.metrics.append(kept)

    def finish(self, metrics: Mapping[str, Any]) -> Path | None:
        """Write what was tested, and how; in the first process alone.

        Args:
            metrics (dict): The test's figures.

        Returns:
            Path: The record.
        """
        if not is_main_process():
            return None
        if self.coco is not None:
            self._take_results()
        self.record['metrics'] = {
            name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))
        }
        self.record['when'] = time.strftime('%Y-%m-%d %H:%M:%S')
        return write_json(self.folder / RECORD, self.record)

    def _take_results(self):
        """Copy COCO's results into the folder, where the metric wrote them elsewhere."""
        prefix = str(self.coco.outfile_prefix)
        for kind in ('bbox', 'segm', 'gt'):
            written = Path(f'{prefix}.{kind}.json')
            target = self.folder / f'{RESULTS}.{kind}.json'
            if written.exists() and written.absolute() != target.absolute():
                shutil.copyfile(written, target)
        given = self.coco.get('ann_file')
        self.record['annotations'] = os.path.abspath(given) if given else f'{RESULTS}.gt.json'
        asked = self.coco.get('metric', 'bbox')
        asked = [asked] if isinstance(asked, str) else list(asked)
        self.record['kinds'] = [
            kind
            for kind in ('bbox', 'segm')
            if kind in asked and (self.folder / f'{RESULTS}.{kind}.json').exists()
        ]


def _cost(cfg):
    """What :func:`mmscale.engine.counting.count` says, or why it cannot."""
    try:
        return count(cfg)
    except Exception as error:  # a model of anyone: the test goes on without its cost
        return {'error': first_line(error)}


def _versions():
    names = ('torch', 'torchvision', *FORKS, *UPSTREAM)
    found = {name: distribution.version for name, distribution in installed(names).items()}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        'mmscale': __version__,
        'Python': platform.python_version(),
        **found,
        'device': device or platform.machine(),
    }


def _annotations(cfg):
    """The annotation files of the training set in COCO's format, as far as the config says."""
    files = []
    for dataset in sets_with_pipeline((cfg.get('train_dataloader') or {}).get('dataset')):
        name = dataset.get('ann_file')
        if isinstance(name, str) and name.endswith('.json'):
            files.append(os.path.abspath(os.path.join(dataset.get('data_root') or '', name)))
    return files


def _colours(palette):
    """A palette as JSON has it; None where a data set has none, or says 'random'."""
    rows = palette if isinstance(palette, (list, tuple)) else []
    colours = [[int(value) for value in row] for row in rows if isinstance(row, (list, tuple))]
    return colours if colours and all(len(colour) == 3 for colour in colours) else None
