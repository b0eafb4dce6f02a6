"""Testing a checkpoint, or an exported file, on a config's test set."""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import DumpResults

from mmscale.checkpoints import trusting
from mmscale.datasets.checks import check_labels
from mmscale.engine.checks import check_run
from mmscale.engine.keeping import Keeping, coco_metrics
from mmscale.engine.pipelines import check_tested
from mmscale.engine.progress import ProgressHook
from mmscale.engine.resuming import best_checkpoint
from mmscale.engine.running import build_runner, prepare
from mmscale.engine.runtime import runtime_config
from mmscale.engine.tasks import DETECTOR, SEGMENTOR, task_of
from mmscale.engine.tuning import FusedHook
from mmscale.engine.weights import hide_secrets, load_from
from mmscale.errors import UserError
from mmscale.exported.engines import is_exported
from mmscale.exported.files import ExportedFile
from mmscale.registry import type_name
from mmscale.utils.configs import sets_with_pipeline, test_set
from mmscale.utils.environment import require
from mmscale.utils.files import writing
from mmscale.utils.fonts import use_fonts
from mmscale.utils.logs import warnings_to_file
from mmscale.utils.progress import Bars


@warnings_to_file()
def evaluate(
    config: str,
    checkpoint: str,
    *,
    work_dir: Any = None,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2.0,
    tta: bool = False,
    report: Callable[[Path], Any] | None = None,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        config (str): Path or bare name.
        checkpoint (str): A checkpoint of that config's model, as
            :func:`mmscale.checkpoints.find_file` takes it; a work dir, of which the best is
            taken; or a file of tools/export.py.
        out (str, optional): Where predictions go: ``NAME.json`` gives COCO results
            (``NAME.bbox.json``, ``NAME.segm.json``), ``NAME.pkl`` mmengine's dump.
        show (bool): Show pictures of the predictions, `wait_time` seconds each.
        show_dir (str, optional): Write these pictures to this folder of the run's own folder.
        tta (bool): Average over test-time augmentations: the config's, or a horizontal flip.
        report (Callable, optional): What makes a report of the work dir, after what
            :mod:`mmscale.engine.keeping` keeps there; it is called in the first process.
        trust_checkpoint (bool): Let the checkpoint run code.
        work_dir, overrides, launcher: As in :func:`mmscale.engine.training.train`.

    Returns:
        dict[str, float]: The metrics.

    Raises:
        UserError: If config, data or options do not fit.
    """
    if os.path.isdir(checkpoint):
        checkpoint = best_checkpoint(checkpoint, trust=trust_checkpoint)
    cfg = prepare(config, overrides, work_dir, launcher)
    hide_secrets(cfg)
    check_tested(cfg, config)
    exported = is_exported(checkpoint)
    if exported and tta:
        raise UserError(f'--tta: {checkpoint} is an exported file, which has no such form')
    with trusting(trust_checkpoint):
        if not exported:
            load_from(cfg, checkpoint, whole=True)
        keeping = Keeping(cfg, config, checkpoint) if report else None
        if show or show_dir:
            _draw(cfg, config, show, show_dir, wait_time)
        if tta:
            _use_tta(cfg)
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='mmscale.ThroughputHook')]
        dump = _set_out(cfg, out) if out else None
        if exported:
            _check_classes(cfg, checkpoint)
        check_run(cfg, ('test',))
        if exported:
            use_file(cfg, checkpoint)
        if keeping:
            keeping.name_results()
        runner = build_runner(cfg, testing=True)
        if dump:
            runner.test_evaluator.metrics.append(dump)
        if show or show_dir:
            use_fonts(runner.visualizer, _classes(runner.test_loop.dataloader.dataset))
        bars = Bars()
        runner.register_hook(ProgressHook(bars))
        if not exported:
            runner.register_hook(FusedHook())
        with writing(cfg.work_dir):
            if keeping:
                keeping.begin(runner)
            with bars.shown():
                metrics = runner.test()
            if report and keeping and keeping.finish(metrics):
                report(Path(cfg.work_dir))
            return metrics


def use_file(cfg: Config, file: str | Path) -> None:
    """Have a run test a file of tools/export.py in the place of the config's model."""
    kind = task_of(cfg).name.capitalize()
    cfg.model = dict(type=f'mmscale.Exported{kind}', file=str(file))
    cfg.pop('data_preprocessor', None)  # which mmengine would hand to the model


def _check_classes(cfg, path):
    """Compare the classes of an exported file with those of the config's test set."""
    if task_of(cfg).scope is None:
        return

    def classes(described):
        return list(described['test_dataloader']['dataset']['metainfo'].get('classes') or ())

    check_labels(path, classes(ExportedFile(path).meta['runtime']), classes(runtime_config(cfg)))


def _draw(cfg, config, show, show_dir, wait_time):
    """Switch the config's visualization hook on."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise UserError(f'{config} has no visualization hook to draw pictures with')
    if task_of(cfg) is SEGMENTOR:  # whose pictures go where the visualizer's go
        hook.update(draw=True, show=show, wait_time=wait_time, interval=1)
        if show_dir:
            cfg.visualizer.save_dir = str(Path(cfg.work_dir) / show_dir)
        return
    # mmdet calls the switch and the folder by other names than mmpretrain.
    of_mmdet = 'Det' in type_name(hook.type)
    names = ('draw', 'test_out_dir') if of_mmdet else ('enable', 'out_dir')
    folder = show_dir if of_mmdet or not show_dir else str(Path(cfg.work_dir) / show_dir)
    hook.update({names[0]: True, names[1]: folder, 'show': show, 'wait_time': wait_time})


def _classes(dataset):
    return getattr(dataset, 'metainfo', {}).get('classes') or ()


def _set_out(cfg, out):
    """Have the predictions written; return a metric that dumps them if mmengine is to do it."""
    suffix = Path(out).suffix
    if suffix in ('.pkl', '.pickle'):
        dump = DumpResults
        if task_of(cfg) is DETECTOR:
            dump = require('mmdet.evaluation').DumpDetResults
        return dump(out_file_path=str(out))
    coco = coco_metrics(cfg)
    if suffix != '.json' or not coco:
        raise UserError(
            f'--out {str(out)!r} must be NAME.pkl, or NAME.json for a detector with CocoMetric'
        )
    for metric in coco:
        metric.outfile_prefix = str(Path(out).with_suffix(''))
    return None


def _use_tta(cfg):
    """Wrap the model as the config says, or average with the flipped image (no classifiers)."""
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        task = task_of(cfg)
        if task not in (DETECTOR, SEGMENTOR):
            raise UserError('--tta: the config has no tta_model and tta_pipeline')
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        pack = dict(
            type='PackDetInputs',
            meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
                'flip', 'flip_direction',
            ),
        )  # fmt: skip
        cfg.tta_model = dict(
            type='DetTTAModel',
            tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
        )
        if task is SEGMENTOR:
            flips.reverse()  # the labels of the first are compared
            pack = dict(type='PackSegInputs')
            cfg.tta_model = dict(type='SegTTAModel')
        pipeline = deepcopy(test_set(cfg).pipeline)
        pipeline[-1] = dict(type='TestTimeAug', transforms=[flips, [pack]])
        cfg.tta_pipeline = pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    for dataset in sets_with_pipeline(cfg.test_dataloader.dataset):
        dataset.pipeline = cfg.tta_pipeline
