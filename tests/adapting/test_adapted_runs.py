"""Adapted detectors of different kinds, from the command to the exported file, on the shapes."""

import json

import pytest
import runs
from commands import tool
from mmengine.config import Config

from mmscale.cli import main
from mmscale.datasets.shapes import CLASSES
from mmscale.engine.config import load_config

SHAPES = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
KINDS = {
    'anchors': 'retinanet/retinanet_r18_fpn_1x_coco',
    'points': 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
    'stages': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco',
    'queries': 'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
    'masks': 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco',
}
STEPS = 100


def with_classes(node, count):
    """The same with another number of classes, wherever it is said."""
    if isinstance(node, dict):
        return {
            key: count if key == 'num_classes' else with_classes(value, count)
            for key, value in node.items()
        }
    return [with_classes(value, count) for value in node] if isinstance(node, list) else node


def on_shapes(adapted, path):
    """Somebody's own config: the adapted one, for the shapes, 100 steps of four pictures."""
    cfg = Config.fromfile(adapted)
    shapes = load_config(SHAPES)
    for key, value in shapes.items():
        if key not in ('model', 'optim_wrapper', 'param_scheduler', 'custom_hooks'):
            cfg[key] = value
    cfg.model = with_classes(cfg.model.to_dict(), len(CLASSES))
    cfg.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4), clip_grad=dict(max_norm=1.0)
    )
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20)]
    cfg.custom_hooks = []
    cfg.train_cfg.update(max_iters=STEPS, val_interval=STEPS)
    cfg.default_hooks.logger.interval = 5
    cfg.default_hooks.checkpoint.interval = STEPS // 2
    cfg.train_dataloader.batch_size = 4
    for part in ('train', 'val', 'test') if 'Ins' in str(cfg.model) else ():
        for step in cfg[f'{part}_dataloader'].dataset.pipeline:
            if step.type == 'LoadAnnotations':
                step.with_mask = True
    cfg.dump(path)
    return path


def loss_of(work_dir):
    return [line['loss'] for line in runs.scalars(work_dir) if 'loss' in line]


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_adapted_detectors_train_test_resume_and_export(kind, shapes, tmp_path):
    adapted, config = tmp_path / 'adapted.py', tmp_path / 'own.py'
    backbone = ['--backbone', 'ReXNet', 'init_cfg=None']
    assert main(['adapt', f'mmdet::{KINDS[kind]}', *backbone, '-o', str(adapted)]) == 0
    on_shapes(adapted, config)
    run = tmp_path / 'run'
    tool('train')([str(config), '--work-dir', str(run)])
    losses = loss_of(run)
    first, last = sum(losses[:4]) / 4, sum(losses[-4:]) / 4
    print(f'{kind}: loss {first:.3f} at first, {last:.3f} at last')
    assert last < 0.9 * first

    weights, tested = str(run / f'iter_{STEPS}.pth'), tmp_path / 'test'
    tool('test')([str(config), weights, '--work-dir', str(tested)])
    [file] = tested.glob('*/*.json')
    figures = json.loads(file.read_text())
    assert 0 <= figures['coco/bbox_mAP'] <= 1

    more = f'train_cfg.max_iters={STEPS + 5}'
    tool('train')([str(config), '--work-dir', str(run), '--resume', '--cfg-options', more])
    assert (run / f'iter_{STEPS + 5}.pth').exists()
    assert len(loss_of(run)) == len(losses) + 1  # it went on, and did not begin anew

    out = tmp_path / 'detector.onnx'
    try:
        status = tool('export')([str(config), weights, str(out)])
    except SystemExit as error:
        status = error.code
    assert out.exists() if not status else str(status).startswith('error: '), status
    print(f'{kind}: exported' if out.exists() else status)
