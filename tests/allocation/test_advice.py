"""What is said about a seed and its gammas."""

import torch
from small_scalenet import allocate
from torch import nn


def test_pruning_without_a_seed_says_so(trained, tmp_path, capsys):
    config, checkpoint, _ = trained
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 40)
    assert 'of 5 blocks' not in capsys.readouterr().out
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 41)
    assert 'in 5 of 5 blocks' in capsys.readouterr().out


def test_gammas_that_hardly_differ_are_named(trained, tmp_path, capsys):
    config, checkpoint, model = trained
    arguments = ('-o', tmp_path / 'found.json', '--neurons', 20)
    allocate(config, checkpoint, *arguments)
    assert 'of 5 blocks' not in capsys.readouterr().out
    for branch in model.backbone.stages[3][0].aggregate.branches.values():
        nn.init.uniform_(branch.norm.weight, 0.4, 0.41)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    allocate(config, checkpoint, *arguments)
    assert 'in 1 of 5 blocks (from 0: [4])' in capsys.readouterr().out


def test_dead_neurons_are_said(trained, tmp_path, capsys):
    config, checkpoint, model = trained
    branch = model.backbone.stages[1][0].aggregate.branches
    for scale in ('2', '4'):
        nn.init.zeros_(branch[scale].norm.weight)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 9)
    assert 'score 0' not in capsys.readouterr().out
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 15, 15, 15, 15)
    assert 'in 1 of 5 blocks neurons of score 0' in capsys.readouterr().out
