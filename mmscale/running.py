"""Training and testing on mmengine's Runner, for detectors and classifiers alike."""

import difflib
import os
import re
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.runner import CheckpointLoader, Runner, find_latest_checkpoint

from mmscale import checkpoints
from mmscale.datasets.checks import check_data, check_folders
from mmscale.environment import check_operators
from mmscale.errors import UserError
from mmscale.registry import BACKBONES, SCOPE

CONFIGS = Path(__file__).parent / '.mim' / 'configs'


def load_config(name, overrides=None):
    """Read a config by path or by name.

    Args:
        name (str): A path; the name of a config of this package, with or without folder and
            ``.py``: ``faster_rcnn_rexnet_fpn``, ``rexnet/faster-rcnn_rexnet-130_fpn_1x_coco``; or
            one of another package: ``mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py``.
        overrides (dict, optional): Dotted keys and values, as from ``--cfg-options``.

    Raises:
        UserError: If there is no such config, or it is none.
    """
    try:
        cfg = get_config(name) if '::' in str(name) else Config.fromfile(find_config(name))
    except (OSError, SyntaxError) as error:  # mmengine's own words
        raise UserError(f'config {str(name)!r} cannot be read: {error}') from error
    _leave_scope(cfg._cfg_dict)
    if overrides:
        cfg.merge_from_dict(overrides)
    return cfg


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
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError(
                f'--auto-scale-lr: {config} does not say what batch its learning rate is for; '
                'add auto_scale_lr=dict(base_batch_size=...) to it'
            )
        cfg.auto_scale_lr.enable = True
    if resume is None and cfg.get('resume'):  # the config's own switch
        resume = cfg.get('load_from') or 'auto'
    if resume is not None:
        cfg.resume = True
        cfg.load_from = newest_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    _guard_weights(cfg, trust_checkpoint)
    if cfg.get('load_from'):
        _load_from(cfg, cfg.load_from, trust_checkpoint, whole=cfg.get('resume', False))
    if cfg.get('resume') and cfg.load_from:
        _check_resumable(cfg)
    check(cfg, ('train', 'val'))
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
            :func:`mmscale.checkpoints.find_file` takes it.
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
    _load_from(cfg, checkpoint, trust_checkpoint, whole=True)
    if show or show_dir:
        hook = cfg.default_hooks.get('visualization')
        if hook is None:
            raise UserError(f'{config} has no visualization hook to draw pictures with')
        # mmdet calls the switch and the folder by other names than mmpretrain.
        names = ('draw', 'test_out_dir') if 'Det' in _name(hook.type) else ('enable', 'out_dir')
        hook.update({names[0]: True, names[1]: show_dir, 'show': show, 'wait_time': wait_time})
    if tta:
        _use_tta(cfg)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmscale.ThroughputHook')]
    dump = _set_out(cfg, out) if out else None
    check(cfg, ('test',))
    runner = _runner(cfg)
    if dump:
        runner.test_evaluator.metrics.append(dump)
    return runner.test()


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
    if cfg.get('default_scope') == 'mmdet':
        check_operators()
    # One process looks at the files; if it stops, the launcher stops the others.
    if int(os.environ.get('RANK', 0)) == 0:
        look = dict(mmdet=check_data, mmpretrain=check_folders).get(cfg.get('default_scope'))
        if look:
            look(cfg, splits)


def newest_checkpoint(work_dir):
    """The path of the last checkpoint of a run, or None if it has none."""
    named = find_latest_checkpoint(str(work_dir))
    if named and Path(named).is_file():
        return named
    # The run was killed before it wrote down the name, or its folder was moved.
    saved = [p for p in Path(work_dir).glob('*.pth') if re.fullmatch(r'(epoch|iter)_\d+', p.stem)]
    return str(max(saved, key=lambda path: path.stat().st_mtime)) if saved else None


def _check_resumable(cfg):
    """Resume with the seed of the checkpoint: mmengine shuffles the data before it looks there.

    Raises:
        UserError: If the checkpoint is not that of a run.
    """
    content = CheckpointLoader.load_checkpoint(cfg.load_from, map_location='cpu')
    meta, hub, optimizer = (content.get(key) for key in ('meta', 'message_hub', 'optimizer'))
    known = isinstance(optimizer, dict) and (
        'param_groups' in optimizer or any('.' in str(key) for key in optimizer)  # of several
    )
    lacks = [] if known else ['optimizer']
    if not isinstance(hub, dict) or not {'log_scalars', 'runtime_info'} <= hub.keys():
        lacks.append('message_hub')
    for key in ('epoch', 'iter', 'seed'):
        if not isinstance((meta or {}).get(key, 0 if key == 'seed' else None), (int, type(None))):
            lacks.append(f'meta.{key} as a number')
        elif key != 'seed' and (meta or {}).get(key) is None:
            lacks.append(f'meta.{key}')
    if lacks:
        raise UserError(
            f'{cfg.load_from.partition(":")[2]} cannot be resumed: it lacks {lacks}. To start from '
            'its weights: --cfg-options load_from=FILE, without --resume'
        )
    if meta.get('seed') is not None and cfg.get('randomness', {}).get('seed') is None:
        cfg.randomness = dict(cfg.get('randomness', {}), seed=meta['seed'])


def _guard_weights(cfg, trust):
    """Have every checkpoint that an init_cfg of the model names read by this package.

    This package's models compare what they load; the checkpoint of a whole detector is loaded as
    `load_from` is, which compares too.
    """
    model, scheme = cfg.model, checkpoints.TRUSTED if trust else checkpoints.SCHEME
    whole = model.get('init_cfg')
    if isinstance(whole, dict) and _is_pretrained(whole) and not _is_own(model):
        if not cfg.get('load_from') and whole.get('checkpoint'):
            cfg.load_from = whole['checkpoint']
            cfg.resume = False  # there is nothing to resume
        model.init_cfg = None
    for node in _nodes(model):
        given = node.get('pretrained')  # mmpretrain's word for it
        if isinstance(given, str) and not _is_own(node) and not _is_mmengines(given):
            node['pretrained'] = f'{scheme}{checkpoints.find_file(given)}'
        entries = node.get('init_cfg')
        for entry in entries if isinstance(entries, (list, tuple)) else [entries]:
            if not isinstance(entry, dict) or not _is_pretrained(entry):
                continue
            checkpoint = entry.get('checkpoint')
            if _is_own(node):
                if trust and checkpoint:
                    entry['trust_checkpoint'] = True
            elif checkpoint and not _is_mmengines(checkpoint):
                entry['checkpoint'] = f'{scheme}{checkpoints.find_file(checkpoint)}'


def _nodes(value):
    """Every dict inside `value`, itself first."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list, tuple)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _nodes(inner)


def _is_pretrained(init_cfg):
    return str(init_cfg.get('type')).rpartition('.')[2] == 'Pretrained'


def _is_own(node):
    own = _name(node.get('type', ''))
    return own in BACKBONES or str(node.get('type')).startswith(f'{SCOPE}.')


def _is_mmengines(checkpoint):
    """Whether it is in one of the stores that mmengine knows by a scheme: torchvision://resnet50."""
    scheme = re.match(r'[\w-]+://', str(checkpoint))
    known = scheme and scheme[0] in CheckpointLoader._schemes
    return bool(known) and not str(checkpoint).startswith(('http', checkpoints.TIMM_SCHEME))


def _load_from(cfg, checkpoint, trust, *, whole):
    """Have mmengine load `checkpoint` as this package reads it, and end if it does not fit."""
    checkpoint = str(checkpoint)
    if not _is_mmengines(checkpoint):
        checkpoint = str(checkpoints.find_file(checkpoint))
        checkpoint = (checkpoints.TRUSTED if trust else checkpoints.SCHEME) + checkpoint
    elif not trust:
        raise UserError(
            f'checkpoint {checkpoint!r} would be read by mmengine, which runs code that it may '
            'carry; fetch it and give the file, or say --trust-checkpoint'
        )
    cfg.load_from = checkpoint
    hook = dict(type='mmscale.CheckpointFitHook', whole=whole, exact=cfg.get('resume', False))
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]


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
    coco = [metric for metric in evaluators if _name(metric.type) == 'CocoMetric']
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


def _name(kind):
    """The bare name of a config's type, which may be a class or have a scope."""
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


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
