"""Several resolutions: one table, of a SAN's ways or of a plain network."""

import json

import pytest
import torch
from commands import tool
from runs import CLASSIFIER, loaders
from small_san import SAN, arguments

from mmscale.engine.config import load_config
from mmscale.engine.pipelines import pipeline_at
from mmscale.engine.training import train
from mmscale.errors import UserError
from mmscale.resolutions.testing import evaluate_resolutions
from mmscale.utils.configs import sets_with_pipeline


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


def test_detector_with_norms_for_every_size(shapes, tmp_path):
    config = 'shapes/faster-rcnn_san-18_fpn_shapes'
    overrides = {
        'model.backbone.base_channels': 16,
        'model.neck.in_channels': [16, 32, 64, 128],
        'train_cfg.max_iters': 6,
        **loaders(batch_size=2),
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
        **loaders(),
        'test_dataloader.dataset.pipeline': [
            dict(type='mmscale.LoadImage'),
            dict(type='Resize', scale=64),
            dict(type='PackInputs'),
        ],
    }
    path = tmp_path / 'plain.pth'
    torch.save(get_model(load_config(CLASSIFIER, short)).state_dict(), path)
    rows = evaluate_resolutions(CLASSIFIER, str(path), [64, 32], overrides=short, work_dir=tmp_path)
    assert [row['resolution'] for row in rows] == [64, 32]
    assert all({'accuracy/top1', 'accuracy/top5', 'images_per_second'} <= set(row) for row in rows)
    with pytest.raises(UserError, match='SAN'):
        evaluate_resolutions(
            CLASSIFIER, str(path), [64], ['ideal'], overrides=short, work_dir=tmp_path
        )


WRONG = {
    'way': (dict(resolutions=[64], inference=['best']), "'best' is unknown"),
    'twice': (dict(resolutions=[64, 64]), 'different sizes'),
    'zero': (dict(resolutions=[0]), '16 px'),
    'small': (dict(resolutions=[64, 8]), '16 px'),
    'ways': (dict(resolutions=[64], inference=['ideal', 'ideal']), "'ideal'.*twice"),
    'out': (dict(resolutions=[64], out='table.txt'), "'table.txt'.*[.]json"),
}


@pytest.mark.parametrize(('given', 'words'), WRONG.values(), ids=WRONG)
def test_wrong_tables(options, checkpoint, given, words):
    with pytest.raises(UserError, match=words):
        evaluate_resolutions(SAN, checkpoint, overrides=options, **given)


@pytest.mark.parametrize('wrapped', ['RepeatDataset', 'ConcatDataset'])
def test_sets_in_others_are_scaled_too(monkeypatch, options, wrapped):
    asked = []
    monkeypatch.setattr(
        'mmscale.resolutions.testing.evaluate', lambda *args, **kwargs: asked.append(kwargs) or {}
    )
    inner = load_config(SAN, options).test_dataloader.dataset
    times = dict(type='RepeatDataset', times=1, dataset=inner)
    joined = dict(type='ConcatDataset', datasets=[times, inner])
    outer = times if wrapped == 'RepeatDataset' else joined
    given = {**options, 'test_dataloader.dataset': dict(outer, _delete_=True)}
    del given['test_dataloader.dataset.data_root']  # of a plain set
    evaluate_resolutions(SAN, 'any.pth', [64, 48], overrides=given)
    for call, side in zip(asked, (64, 48), strict=True):
        dataset = load_config(SAN, call['overrides']).test_dataloader.dataset
        assert dataset.type == wrapped
        found = list(sets_with_pipeline(dataset))
        assert len(found) == (1 if wrapped == 'RepeatDataset' else 2)
        assert all(pipeline_at(one.pipeline, side) == one.pipeline for one in found)


@pytest.mark.parametrize(
    'dataset',
    [dict(type='ConcatDataset', datasets=[]), dict(type='RepeatDataset', dataset=dict(type='A'))],
    ids=['joined', 'wrapped'],
)
def test_sets_without_a_pipeline(options, checkpoint, dataset):
    given = {'test_dataloader.dataset': dict(dataset, _delete_=True)}
    with pytest.raises(UserError, match=f'{SAN} has no pipeline'):
        evaluate_resolutions(SAN, checkpoint, [64], overrides=given)


def test_no_test_set(options, checkpoint):
    for value in (None, {}):
        without = {'test_dataloader': value, 'test_evaluator': None, 'test_cfg': None}
        own = {k: v for k, v in options.items() if not k.startswith('test_')}
        with pytest.raises(UserError, match='no test_dataloader|they go together'):
            evaluate_resolutions(SAN, checkpoint, [64], overrides={**own, **without})


def test_what_has_no_table(options, checkpoint):
    own = {**options, 'tta_model': dict(type='AverageClsScoreTTA'), 'tta_pipeline': []}
    with pytest.raises(UserError, match='tta_pipeline'):
        evaluate_resolutions(SAN, checkpoint, [64], overrides=own, tta=True)
    with pytest.raises(UserError, match='exported'):
        evaluate_resolutions(SAN, 'san.onnx', [64], ['proxy'], overrides=options)


def test_rows_may_differ(monkeypatch, options, tmp_path, capsys):
    rows = [dict(accuracy=1.0, speed=2.0), dict(speed=3.0)]  # mmdet's, where nothing was found
    monkeypatch.setattr('mmscale.resolutions.testing.evaluate', lambda *args, **kwargs: rows.pop(0))
    out = tmp_path / 'table.json'
    table = evaluate_resolutions(SAN, 'any.pth', [64, 48], out=str(out), overrides=options)
    assert [row.get('accuracy') for row in table] == [1.0, None]
    assert json.loads(out.read_text()) == table
    assert 'accuracy' in capsys.readouterr().out
