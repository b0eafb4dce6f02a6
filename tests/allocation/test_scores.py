"""Scores of neurons are what they say they are."""

import pytest
import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from networks import randomise_norms
from small_scalenet import SCALES, SMALL, allocate

from mmscale.allocation.scores import gamma_scores, taylor_scores
from mmscale.allocation.selection import select, structure_of
from mmscale.engine.config import load_config
from mmscale.structures import load_structure, stage_neurons


def test_taylor_is_the_change_of_the_loss(trained):
    """To first order, as seen by scaling one neuron's gamma down a little."""
    _, _, model = trained
    model = model.double()
    torch.manual_seed(1)
    model.data_preprocessor = BaseDataPreprocessor()
    labels = [DataSample().set_gt_label(label) for label in (0, 3)]
    batches = [
        dict(inputs=torch.rand(2, 3, 64, 64, dtype=torch.float64), data_samples=labels)
        for _ in range(2)
    ]
    scores = taylor_scores(model, batches)
    gamma = model.backbone.stages[2][0].aggregate.branches['2'].norm.weight
    for neuron in (0, 7):
        changes = []
        for batch in batches:
            losses = []
            for factor in (1 - 1e-5, 1 + 1e-5):
                before = gamma.detach().clone()
                with torch.no_grad():
                    gamma[neuron] *= factor
                    losses.append(float(model(**batch, mode='loss')['loss']))
                    gamma.copy_(before)
            changes.append(abs(losses[1] - losses[0]) / 2e-5)
        assert float(scores[2][0][2][neuron]) == pytest.approx(sum(changes) / 2, rel=1e-5)


@pytest.mark.parametrize('part', ['classifier', 'detector'])
def test_taylor_by_training_images(shapes, tmp_path, part):
    """From the config's own data, for a classifier and for a detector, twice the same."""
    if part == 'classifier':
        config, changes = 'shapes/scalenet-50-seed_shapes', {}
    else:
        config, changes = (
            'shapes/faster-rcnn_rexnet-100_fpn_shapes',
            {
                'model.backbone': dict(SMALL, _delete_=True),
                'model.neck.in_channels': [32, 64, 128, 256],
                'train_dataloader.batch_size': 2,
            },
        )

    cfg = load_config(config)
    cfg.merge_from_dict(changes)
    cfg.dump(tmp_path / 'config.py')
    init_default_scope(cfg.default_scope)
    model_cfg = dict(cfg.model)
    if 'data_preprocessor' in cfg:
        model_cfg['data_preprocessor'] = cfg.data_preprocessor
    torch.manual_seed(0)
    model = randomise_norms(MODELS.build(model_cfg), signed=True)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'seed.pth')
    files = []
    for name in 'ab':
        folder = tmp_path / name
        folder.mkdir()
        arguments = ('-o', folder / 'found.json', '--width-factor', 0.5, '--measure', 'taylor')
        plot = ('--plot', folder / 'plot.png', '--batches', 2)
        allocate(tmp_path / 'config.py', tmp_path / 'seed.pth', *arguments, *plot)
        files.append((folder / 'found.json').read_bytes())
        assert (folder / 'plot.png').stat().st_size > 10_000
    assert files[0] == files[1]
    by_gamma = structure_of(
        select(
            gamma_scores(model.backbone),
            stage_neurons(sum(load_structure(folder / 'found.json').stages[3][0])),
        ),
        SCALES,
    )
    assert load_structure(folder / 'found.json').stages != by_gamma.stages
