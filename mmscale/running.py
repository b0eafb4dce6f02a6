"""Training and testing on mmengine's Runner, for detectors and classifiers alike."""

import difflib
import inspect
import os
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.runner import Runner

from mmscale import feature_channels
from mmscale.datasets.checks import check_data, check_folders, check_labels
from mmscale.environment import check_operators, require
from mmscale.errors import UserError
from mmscale.export.files import ExportedFile, is_exported
from mmscale.registry import SCOPE, backbone_class, type_name
from mmscale.run_weights import check_resumable, guard_weights, load_from, newest_checkpoint
from mmscale.runtime import runtime_config

# What takes the backbone's maps in their order, and what takes the last one.
PYRAMIDS = ('FPN', 'PAFPN', 'ChannelMapper')
LINEAR = ('LinearClsHead', 'DropoutLinearClsHead')
# What is read of a config beside the Runner's arguments, whether it has it or not.
KEYS = ('auto_scale_lr', 'compile', 'data_preprocessor', 'tta_model', 'tta_pipeline')
CONFIGS = Path(__file__).parent / '.mim' / 'configs'


def load_config(name, overrides=None):
    """Read a config by path or by name.

    Args:
        name (str): A path; the name of a config of this package, with or without folder and
            ``.py``: ``faster_rcnn_rexnet_fpn``, ``rexnet/faster-rcnn_rexnet-130_fpn_1x_coco``; or
            one of another package: ``mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py``.
        overrides (dict, optional): Dotted keys and values, as from ``--cfg-options``.

    Raises:
        UserError: If there is no such config, it is none, or an override does not fit it.
    """
    path = None if '::' in str(name) else find_config(name)
    try:
        cfg = Config.fromfile(path) if path else get_config(name)
    except (OSError, SyntaxError, ValueError) as error:  # mmengine's own words
        raise UserError(f'config {str(name)!r} cannot be read: {error}') from error
    _leave_scope(cfg._cfg_dict)
    if overrides:
        _check_keys(cfg, overrides)
        try:
            cfg.merge_from_dict(overrides)
        except (TypeError, KeyError, AttributeError) as error:  # a value where there is no place
            raise UserError(f'--cfg-options {overrides} do not fit {name}: {error}') from error
    _shorten_topk(cfg)
    return cfg


def _check_keys(cfg, overrides):
    """Stop where mmengine would take a misspelt key for a new one, and do nothing with it."""
    known = {*cfg, *inspect.signature(Runner).parameters, *KEYS}
    for dotted in overrides:
        key = dotted.split('.')[0]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        if key not in known and close:
            raise UserError(
                f'--cfg-options {dotted}: there is no {key!r}; did you mean {close[0]!r}?'
            )


def _shorten_topk(cfg):
    """Leave out of a classifier's metrics the top 5 of fewer classes."""
    classes = (cfg.get('model') or {}).get('head', {}).get('num_classes')
    for key in ('val_evaluator', 'test_evaluator'):
        given = cfg.get(key) or []
        for metric in given if isinstance(given, list) else [given]:
            own = type_name(metric.get('type', '')) == 'Accuracy'
            if own and classes and isinstance(metric.get('topk'), (tuple, list)):
                metric.topk = tuple(k for k in metric.topk if k <= classes) or (1,)


def _leave_scope(node):
    """Have what was inherited from ``mmscale::X`` built in the config's own default_scope.

    mmengine would look for it in this package's, where mmdet's and mmpretrain's parts are unknown.
    """
    if isinstance(node, dict) and node.get('_scope_') == SCOPE:
        del node['_scope_']
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list, tuple)):
            _leave_scope(value)


def find_config(name):
    """The path of a config given by path or by bare name (see :func:`load_config`)."""
    if Path(name).is_file():
        return Path(name)
    wanted = str(name).removesuffix('.py')
    known = {p.relative_to(CONFIGS).with_suffix('').as_posix(): p for p in CONFIGS.rglob('*.py')}
    known |= {path.stem: path for path in known.values()}
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted.rsplit('/', 1)[-1], known, n=3)
    hint = f'; close to it: {", ".join(close)}' if close else ''
    raise UserError(
        f'config {str(name)!r} is neither a file nor the name of a config of mmscale{hint}'
    )


def build_model(cfg):
    """The model of a config alone, without a run. Weights are random: nothing is loaded.

    Args:
        cfg (mmengine.Config): A detector's or a classifier's.

    Returns:
        mmengine.model.BaseModel: Its synchronised norms are plain ones.

    Raises:
        UserError: If an argument does not fit.
    """
    scope = cfg.get('default_scope', 'mmdet')
    require(scope)
    init_default_scope(scope)
    model = deepcopy(cfg.model)
    if cfg.get('data_preprocessor'):  # mmpretrain's configs have it beside the model
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(scope):
        try:
            model = MODELS.build(model)
        except TypeError as error:
            raise UserError(f'the config does not fit: {error}') from error
    return revert_sync_batchnorm(model)


def train(
    config,
    *,
    work_dir=None,
    amp=False,
    auto_scale_lr=False,
    resume=None,
    trust_checkpoint=False,
    overrides=None,
    launcher='none',
):
    """Train a detector or classifier.

    Args:
        config (str): Path or bare name.
        work_dir (str, optional): Where logs and checkpoints go. Default: the config's own, or
            ``work_dirs/CONFIG``.
        amp (bool): Automatic mixed precision (on an accelerator).
        auto_scale_lr (bool): Scale the learning rate to the actual batch size.
        resume (str, optional): 'auto' goes on from the newest checkpoint of `work_dir`, if there is
            one; a path goes on from that checkpoint.
        trust_checkpoint (bool): Let that checkpoint, or the config's `load_from`, run code.
        overrides (dict, optional): As in :func:`load_config`.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        mmengine.runner.Runner: The runner, after training.

    Raises:
        UserError: If config, data or options do not fit.
    """
    cfg = _prepare(config, overrides, work_dir, launcher)
    if amp:
        if not torch.cuda.is_available():
            raise UserError('--amp needs a GPU: mmengine has no mixed precision on CPUs')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if resume is None and cfg.get('resume'):  # the config's own switch
        resume = cfg.get('load_from') or 'auto'
    if resume is not None:
        cfg.resume = True
        cfg.load_from = newest_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    guard_weights(cfg, trust_checkpoint)
    if cfg.get('load_from'):
        load_from(cfg, cfg.load_from, trust_checkpoint, whole=cfg.get('resume', False))
    if cfg.get('resume') and cfg.load_from:
        check_resumable(cfg)
        print_log(
            '--resume: optimiser and schedule are those of the checkpoint, not of any option',
            logger='current',
        )
    check(cfg, ('train', 'val'))
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError(
                f'--auto-scale-lr: {config} does not say what batch its learning rate is for; '
                'add auto_scale_lr=dict(base_batch_size=...) to it'
            )
        cfg.auto_scale_lr.enable = True
        # mmengine compares with the batch that is computed at once, not with that of a step.
        cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
    runner = _runner(cfg)
    runner.train()
    return runner


def test(
    config,
    checkpoint,
    *,
    work_dir=None,
    out=None,
    show=False,
    show_dir=None,
    wait_time=2.0,
    tta=False,
    trust_checkpoint=False,
    overrides=None,
    launcher='none',
):
    """Evaluate a checkpoint on the config's test set.

    Args:
        config (str): Path or bare name.
        checkpoint (str): A checkpoint of that config's model, as
            :func:`mmscale.checkpoints.find_file` takes it; or a file of tools/export.py.
        out (str, optional): Where predictions go: ``NAME.json`` gives COCO results
            (``NAME.bbox.json``, ``NAME.segm.json``), ``NAME.pkl`` mmengine's dump.
        show (bool): Show pictures of the predictions, `wait_time` seconds each.
        show_dir (str, optional): Write these pictures to this folder of the run's own folder.
        tta (bool): Average over test-time augmentations: the config's, or a horizontal flip.
        trust_checkpoint (bool): Let the checkpoint run code.
        work_dir, overrides, launcher: As in :func:`train`.

    Returns:
        dict[str, float]: The metrics.

    Raises:
        UserError: If config, data or options do not fit.
    """
    cfg = _prepare(config, overrides, work_dir, launcher)
    exported = is_exported(checkpoint)
    if exported and tta:
        raise UserError(f'--tta: {checkpoint} is an exported file, which has no such form')
    if not exported:
        load_from(cfg, checkpoint, trust_checkpoint, whole=True)
    if show or show_dir:
        hook = cfg.default_hooks.get('visualization')
        if hook is None:
            raise UserError(f'{config} has no visualization hook to draw pictures with')
        # mmdet calls the switch and the folder by other names than mmpretrain.
        of_mmdet = 'Det' in type_name(hook.type)
        names = ('draw', 'test_out_dir') if of_mmdet else ('enable', 'out_dir')
        folder = show_dir if of_mmdet or not show_dir else str(Path(cfg.work_dir) / show_dir)
        hook.update({names[0]: True, names[1]: folder, 'show': show, 'wait_time': wait_time})
    if tta:
        _use_tta(cfg)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='mmscale.ThroughputHook')]
    dump = _set_out(cfg, out) if out else None
    if exported:
        _check_classes(cfg, checkpoint)
    check(cfg, ('test',))
    if exported:
        use_file(cfg, checkpoint)
    runner = _runner(cfg)
    if dump:
        runner.test_evaluator.metrics.append(dump)
    return runner.test()


def use_file(cfg, file):
    """Have a run test a file of tools/export.py in the place of the config's model."""
    kind = 'Detector' if cfg.get('default_scope') == 'mmdet' else 'Classifier'
    cfg.model = dict(type=f'mmscale.Exported{kind}', file=str(file))
    cfg.pop('data_preprocessor', None)  # which mmengine would hand to the model


def _check_classes(cfg, path):
    """Compare the classes of an exported file with those of the config's test set."""
    if not cfg.get('default_scope') or 'pipeline' not in cfg.test_dataloader.dataset:
        return  # a set of several sets, say, does not tell its classes so easily

    def classes(described):
        return list(described['test_dataloader']['dataset']['metainfo'].get('classes') or ())

    check_labels(path, classes(ExportedFile(path).meta['runtime']), classes(runtime_config(cfg)))


def _prepare(config, overrides, work_dir, launcher):
    cfg = load_config(config, overrides)
    cfg.launcher = launcher
    if launcher == 'pytorch' and not torch.cuda.is_available():
        _join_cpu_processes(cfg)
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(config).stem)
    # mmengine keeps visualizers by name: under the fixed one of mmdet's configs, a second run in
    # this process would log into the folder of the first.
    if cfg.get('visualizer'):
        cfg.visualizer.pop('name', None)
    return cfg


def _join_cpu_processes(cfg):
    """Connect the processes by gloo: mmengine by itself starts distributed runs on GPUs only."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    # mmengine's own wrapper names a GPU by the process's number.
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None)
    cfg.model_wrapper_cfg = {**wrapper, **cfg.get('model_wrapper_cfg', {})}


def check(cfg, splits):
    """Look at mmcv's operators and the data of some splits ('train', 'val', 'test') beforehand.

    Raises:
        UserError: If they do not fit the machine or the config.
    """
    _check_channels(cfg)
    _check_counts(cfg, splits)
    if cfg.get('default_scope') == 'mmdet':
        check_operators()
    # One process looks at the files; if it stops, the launcher stops the others.
    if int(os.environ.get('RANK', 0)) == 0:
        look = dict(mmdet=check_data, mmpretrain=check_folders).get(cfg.get('default_scope'))
        if look:
            look(cfg, splits)


def _check_channels(cfg):
    """Compare a backbone of this package with the pyramid or classifier that takes its maps."""
    if backbone_class(cfg) is object:
        return
    named = {**cfg.model.backbone, 'type': type_name(cfg.model.backbone.type)}
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
        count = (cfg.get(part) or {}).get(name, 1)
        if not isinstance(count, int) or count < 1:
            raise UserError(f'{part}.{name}={count!r} must be a whole number of at least 1')


def _set_out(cfg, out):
    """Have the predictions written; return a metric that dumps them if mmengine is to do it."""
    suffix = Path(out).suffix
    if suffix in ('.pkl', '.pickle'):
        if cfg.get('default_scope') == 'mmdet':
            from mmdet.evaluation import DumpDetResults as Dump
        else:
            from mmengine.evaluator import DumpResults as Dump
        return Dump(out_file_path=str(out))
    evaluators = (
        cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    )
    coco = [m for m in evaluators if type_name(m.type) in ('CocoMetric', 'FasterCocoMetric')]
    if suffix != '.json' or not coco:
        raise UserError(
            f'--out {str(out)!r} must be NAME.pkl, or NAME.json for a detector with CocoMetric'
        )
    for metric in coco:
        metric.outfile_prefix = str(Path(out).with_suffix(''))
    return None


def _runner(cfg):
    try:
        return Runner.from_cfg(cfg)
    except TypeError as error:
        if 'unexpected keyword argument' not in str(error):
            raise
        raise UserError(f'the config does not fit: {error}') from error


def _use_tta(cfg):
    """Wrap the model as the config says, or (detectors) average with the flipped image."""
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        if cfg.get('default_scope') != 'mmdet':
            raise UserError('--tta: the config has no tta_model and tta_pipeline')
        pack = dict(
            type='PackDetInputs',
            meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
                'flip', 'flip_direction',
            ),
        )  # fmt: skip
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        pipeline = deepcopy(cfg.test_dataloader.dataset.pipeline)
        pipeline[-1] = dict(type='TestTimeAug', transforms=[flips, [pack]])
        cfg.tta_pipeline = pipeline
        cfg.tta_model = dict(
            type='DetTTAModel',
            tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
        )
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
