"""Several resolutions: pipelines scaled, one table, and a SAN's norms calibrated for new ones."""

import json

import cv2
import pytest
import torch
from conftest import tool
from mmengine.runner import Runner

from mmscale.datasets.shapes import CLASSES
from mmscale.engine.config import load_config
from mmscale.engine.pipelines import pipeline_at
from mmscale.engine.testing import evaluate
from mmscale.engine.training import train
from mmscale.errors import UserError
from mmscale.models.backbones.san import ResolutionNorm
from mmscale.resolutions.calibration import calibrate
from mmscale.resolutions.hook import CalibrateNormsHook
from mmscale.resolutions.testing import evaluate_resolutions

SAN = 'san-resnet-18_in1k'
SIZES = [64, 48]


@pytest.fixture(scope='module')
def options(shapes):
    """What makes a small SAN for the crops of the shapes set out of the one for ImageNet."""
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    return {
        'model.backbone.resolutions': SIZES,
        'model.backbone.encoding_base': 91,
        'model.head.num_classes': len(CLASSES),
        'data_preprocessor.num_classes': len(CLASSES),
        'train_dataloader.dataset.pipeline.1.scale': SIZES[0],
        **{f'{loader}.dataset.data_root': str(shapes / 'classes') for loader in loaders},
        **{f'{loader}.batch_size': 8 for loader in loaders},
        **{f'{loader}.num_workers': 0 for loader in loaders},
        **{f'{loader}.persistent_workers': False for loader in loaders},
    }


def build(options):
    from mmpretrain import get_model

    torch.manual_seed(0)
    model = get_model(load_config(SAN, options))
    for name, value in model.state_dict().items():
        if '.generator.' in name:
            value *= 0.02  # as small as trained ones
    return model


@pytest.fixture(scope='module')
def checkpoint(options, tmp_path_factory):
    path = tmp_path_factory.mktemp('san') / 'san.pth'
    torch.save({'state_dict': build(options).state_dict()}, path)
    return str(path)


def arguments(options):
    return ['--cfg-options', *(f'{k}={v}'.replace(' ', '') for k, v in options.items())]


def norms(model, number):
    return {
        name: module.norms[number].state_dict()
        for name, module in model.named_modules()
        if isinstance(module, ResolutionNorm)
    }


def test_one_table_for_all_ways(options, checkpoint, tmp_path, capsys):
    sizes = ['--resolutions', '64', '56', '40']
    ways = ['--inference', 'proxy', 'ideal', 'calibrated', 'data-free']
    table = tmp_path / 'table.json'
    place = ['--work-dir', str(tmp_path), '--out', str(table)]
    tool('test')([SAN, checkpoint, *place, *sizes, *ways, *arguments(options)])
    lines = capsys.readouterr().out.splitlines()
    heading = next(i for i, line in enumerate(lines) if 'top5' in line)
    cells = [line.replace('│', '|').split('|') for line in lines[heading + 1 :] if '│' in line]
    found = [(row[1].strip(), int(row[2])) for row in cells]
    assert found == [(way, r) for way in ways[1:] for r in (64, 56, 40)]
    assert all(0 <= float(row[3]) <= 100 for row in cells)
    written = json.loads(table.read_text())
    assert [(row['inference'], row['resolution']) for row in written] == found
    assert all(abs(w['accuracy/top1'] - float(c[3])) < 0.006 for w, c in zip(written, cells))


def test_tables_are_compared(tmp_path, capsys):
    def write(name, rows):
        path = tmp_path / name
        path.write_text(json.dumps([dict(inference=i, resolution=r, top1=t) for i, r, t in rows]))
        return str(path)

    first = write('a.json', [('proxy', 32, 80.0), ('ideal', 32, 70.0), ('proxy', 28, 60.0)])
    second = write('b.json', [('proxy', 32, 84.0)])
    plain = write('c.json', [(None, 32, 50.0)])
    out = tmp_path / 'comparison.png'
    compare = tool('compare_runs')
    compare([f'SAN={first},{second}', f'plain={plain}', '--metric', 'top1', '--out', str(out)])
    assert capsys.readouterr().out.splitlines() == [
        'SAN, proxy, 28 px: top1 60.000 (1 run)',
        'SAN, proxy, 32 px: top1 82.000 ± 2.828 (2 runs; 95 %: 56.588 to 107.412)',
        'SAN, ideal, 32 px: top1 70.000 (1 run)',
        'plain, 32 px: top1 50.000 (1 run)',
        f'Picture: {out}',
    ]
    assert cv2.imread(str(out)).shape[2] == 3
    out.unlink()
    (tmp_path / 'x.json').write_text('{"a": 1')
    for kinds, metric, words in (
        (f'a={first}', 'top5', "no 'top5'"),
        (f'a={tmp_path}/x.json', 'top1', 'is no table'),
        (f'a={tmp_path}/no.json', 'top1', 'is no table'),
    ):
        with pytest.raises(SystemExit, match=words):
            compare([kinds, '--metric', metric, '--out', str(out)])
    assert not out.exists()


def test_detector_with_norms_for_every_size(shapes, tmp_path):
    config = 'shapes/faster-rcnn_san-18_fpn_shapes'
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    overrides = {
        'model.backbone.base_channels': 16,
        'model.neck.in_channels': [16, 32, 64, 128],
        'train_cfg.max_iters': 6,
        **{f'{loader}.batch_size': 2 for loader in loaders},
        **{f'{loader}.num_workers': 0 for loader in loaders},
        **{f'{loader}.persistent_workers': False for loader in loaders},
    }
    runner = train(config, work_dir=tmp_path / 'run', overrides=overrides)
    steps = [int(norm.num_batches_tracked) for norm in runner.model.backbone.stem.norm.norms]
    assert sum(steps) == 6  # each step reaches the norms of one size
    assert sum(count > 0 for count in steps) > 1
    options = dict(overrides=overrides, work_dir=tmp_path / 'test')
    rows = evaluate_resolutions(config, str(tmp_path / 'run/iter_6.pth'), [224, 96], **options)
    # After six steps there may be no boxes, and mmdet has no figures then.
    assert [row['resolution'] for row in rows] == [224, 96]
    assert all(row['images_per_second'] > 0 for row in rows)


def test_plain_networks_have_a_table_too(shapes, tmp_path):
    from mmpretrain import get_model

    short = {
        'model.backbone.width_mult': 0.9,
        'model.head.in_channels': 1152,
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'test_dataloader.dataset.pipeline': [
            dict(type='mmscale.LoadImage'),
            dict(type='Resize', scale=64),
            dict(type='PackInputs'),
        ],
    }
    config = 'shapes/rexnet-100_shapes'
    path = tmp_path / 'plain.pth'
    torch.save(get_model(load_config(config, short)).state_dict(), path)
    rows = evaluate_resolutions(config, str(path), [64, 32], overrides=short, work_dir=tmp_path)
    assert [row['resolution'] for row in rows] == [64, 32]
    assert all({'accuracy/top1', 'accuracy/top5', 'images_per_second'} <= set(row) for row in rows)
    with pytest.raises(UserError, match='is no SAN'):
        evaluate_resolutions(config, str(path), [64], ['ideal'], overrides=short, work_dir=tmp_path)


def test_calibration_averages_over_the_batches(options):
    model = build(options).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(1)
    batches = [dict(inputs=list(torch.rand(4, 3, 40, 40) * 255)) for _ in range(3)]
    calibrate(model, batches, 40)
    # The stem's convolution is an ordinary one: its outputs can be had from outside.
    stem = model.backbone.stem
    outputs = [stem.conv(torch.stack(batch['inputs']).flip(1) / 255) for batch in batches]
    changed = stem.norm.norms[1]  # 48 is next to 40
    mean = torch.stack([x.mean((0, 2, 3)) for x in outputs]).mean(0)
    var = torch.stack([x.var((0, 2, 3)) for x in outputs]).mean(0)
    assert torch.allclose(changed.running_mean, mean, atol=1e-6)
    assert torch.allclose(changed.running_var, var, rtol=1e-4)
    assert not any(module.training for module in model.modules())
    for key, value in model.state_dict().items():
        own = '.norms.1.' in key and key.split('.')[-1] in (
            'running_mean', 'running_var', 'num_batches_tracked'
        )  # fmt: skip
        assert torch.equal(value, before[key]) != own, key
    with pytest.raises(UserError, match='no batches'):
        calibrate(model, [], 40)


def test_tool_writes_a_checkpoint_with_more_resolutions(options, checkpoint, tmp_path, capsys):
    out = tmp_path / 'calibrated.pth'
    few = ['--resolutions', '56', '40', '--batches', '2']
    tool('calibrate_bn')([SAN, checkpoint, str(out), *few, *arguments(options)])
    assert 'model.backbone.resolutions=[64, 48, 56, 40]' in capsys.readouterr().out
    sizes = {'model.backbone.resolutions': [64, 48, 56, 40]}
    model, plain = build({**options, **sizes}), build(options)
    model.load_state_dict(torch.load(out)['state_dict'])
    for number in (0, 1):  # nothing of the old ones is changed
        for name, state in norms(plain, number).items():
            assert all(torch.equal(v, norms(model, number)[name][k]) for k, v in state.items())
    stem = model.backbone.stem.norm.norms
    assert torch.equal(stem[2].weight, stem[0].weight)  # 56 is between; the larger of both
    assert not torch.equal(stem[2].running_mean, stem[0].running_mean)
    assert not torch.equal(stem[3].running_var, stem[1].running_var)
    rows = evaluate_resolutions(
        SAN, str(out), [40], overrides={**options, **sizes}, work_dir=tmp_path / 'runs'
    )
    assert 0 <= rows[0]['accuracy/top1'] <= 100


def test_calibrating_helps_strange_norms(options, tmp_path):
    model = build(options).eval()
    for name, value in model.state_dict().items():
        if name.endswith('running_mean'):
            value += 100.0  # every feature is off, and ReLU has put most of them out
    cfg = load_config(SAN, options)
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader, seed=0)))
    images = model.data_preprocessor(batch, training=False)['inputs']
    model.backbone.inference = 'ideal'
    with torch.no_grad():
        off = model.backbone(images, resolution=40)[0]
        calibrate(model, [batch], 40)
        mended = model.backbone(images, resolution=40)[0]
    assert off.std(0).max() < 1e-3
    assert mended.std(0).mean() > 0.1


WRONG = {
    'way': (dict(resolutions=[64], inference=['best']), "'best' is unknown; choose from"),
    'twice': (dict(resolutions=[64, 64]), 'must be different sizes'),
    'zero': (dict(resolutions=[0]), 'must be different sizes of at least 16 px'),
    'small': (dict(resolutions=[64, 8]), 'must be different sizes of at least 16 px'),
    'ways': (dict(resolutions=[64], inference=['ideal', 'ideal']), 'names a way twice'),
    'out': (dict(resolutions=[64], out='table.txt'), "'table.txt' must end in .json"),
}


@pytest.mark.parametrize(('given', 'words'), WRONG.values(), ids=WRONG)
def test_wrong_tables(options, checkpoint, given, words):
    with pytest.raises(UserError, match=words):
        evaluate_resolutions(SAN, checkpoint, overrides=options, **given)


def test_what_has_no_table(options, checkpoint, tmp_path):
    own = {**options, 'tta_model': dict(type='AverageClsScoreTTA'), 'tta_pipeline': []}
    with pytest.raises(UserError, match='the config has a tta_pipeline'):
        evaluate_resolutions(SAN, checkpoint, [64], overrides=own, tta=True)
    with pytest.raises(UserError, match='is exported, for one way'):
        evaluate_resolutions(SAN, 'san.onnx', [64], ['proxy'], overrides=options)
    several = tmp_path / 'several.py'
    several.write_text(
        f"_base_ = 'mmscale::classification/{SAN}.py'\n"
        "test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[]))\n"
    )
    with pytest.raises(UserError, match='has no pipeline of its own'):
        evaluate_resolutions(str(several), checkpoint, [64])


def test_rows_may_differ(monkeypatch, options, tmp_path, capsys):
    rows = [dict(accuracy=1.0, speed=2.0), dict(speed=3.0)]  # mmdet's, where nothing was found
    monkeypatch.setattr('mmscale.resolutions.testing.evaluate', lambda *args, **kwargs: rows.pop(0))
    out = tmp_path / 'table.json'
    table = evaluate_resolutions(SAN, 'any.pth', [64, 48], out=str(out), overrides=options)
    assert [row.get('accuracy') for row in table] == [1.0, None]
    assert json.loads(out.read_text()) == table
    assert 'accuracy' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        (dict(resolution='a'), r"\['a'\] must be integers of at least 16 px"),
        (dict(resolution=0), r'\[0\] must be'),
        (dict(resolution=[30, 26]), 'must be integers'),
        (dict(resolution=40, batches=-1), 'batches -1 must be a positive'),
        (dict(resolution=40, batches='x'), "batches 'x' must be a positive"),
    ],
    ids=str,
)
def test_wrong_hooks(given, words):
    with pytest.raises(UserError, match=words):
        CalibrateNormsHook(**given)


def test_hook_needs_the_weights_that_it_calibrates(options, checkpoint, tmp_path):
    hook = dict(type='mmscale.CalibrateNormsHook', resolution=40, batches=1)
    changed = {**options, 'custom_hooks': [hook]}
    with pytest.raises(UserError, match="model.backbone.inference='ideal'"):
        evaluate(SAN, checkpoint, overrides=changed, work_dir=tmp_path)


def test_calibrating_comes_after_averaged_weights(options, checkpoint, tmp_path):
    ema = {'default_hooks.ema': dict(type='EMAHook', update_buffers=True)}
    ways = ['ideal', 'calibrated']
    rows = evaluate_resolutions(
        SAN, checkpoint, [40], ways, overrides={**options, **ema}, work_dir=tmp_path
    )
    plain = evaluate_resolutions(SAN, checkpoint, [40], ways, overrides=options, work_dir=tmp_path)
    names = ('accuracy/top1', 'accuracy/top5')
    assert [[row[name] for name in names] for row in rows] == [
        [row[name] for name in names] for row in plain
    ]


def test_wrong_calibrations(options, checkpoint, tmp_path):
    run, rest = tool('calibrate_bn'), arguments(options)
    with pytest.raises(SystemExit, match='must be new ones'):
        run([SAN, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '48', *rest])
    with pytest.raises(SystemExit, match='is missing'):
        run([SAN, checkpoint, str(tmp_path / 'no/a.pth'), '--resolutions', '40', *rest])
    for given, words in (
        (['a.pth', '--resolutions', '0'], 'at least 16 px'),
        (['a.pth', '--resolutions', '40', '--batches', '-1'], 'batches -1'),
        (['a.safetensors', '--resolutions', '40'], 'must end in .pth or .pt'),
    ):
        with pytest.raises(SystemExit, match=words):
            run([SAN, checkpoint, str(tmp_path / given[0]), *given[1:], *rest])
    plain = 'shapes/rexnet-100_shapes'
    with pytest.raises(SystemExit, match='is no SAN'):
        run([plain, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '40'])
    detector = 'san/faster-rcnn_san-resnet-50_fpn_1x_coco'
    with pytest.raises(SystemExit, match='is no classifier'):
        run([detector, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '40'])
    with pytest.raises(UserError, match='is no classifier'):
        evaluate_resolutions(detector, checkpoint, [224], ['calibrated'])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('pipeline', 'resolution', 'expected'),
    [
        ([dict(scale=256), dict(crop_size=224)], 96, [dict(scale=109), dict(crop_size=96)]),
        ([dict(scale=(1333, 800))], 400, [dict(scale=(666, 400))]),
        ([dict(type='A'), dict(scale=32)], 20, [dict(type='A'), dict(scale=20)]),
        (
            [dict(scale=(64, 64)), dict(size=(96, 96))],
            32,
            [dict(scale=(32, 32)), dict(size=(48, 48))],
        ),
        ([dict(scale=None), dict(crop_size=32)], 20, [dict(scale=None), dict(crop_size=20)]),
    ],
    ids=['crop', 'detector', 'resize', 'pad', 'none'],
)
def test_pipelines_are_scaled(pipeline, resolution, expected):
    assert pipeline_at(pipeline, resolution) == expected
    with pytest.raises(UserError, match='no transform'):
        pipeline_at([dict(type='Load')], 96)
