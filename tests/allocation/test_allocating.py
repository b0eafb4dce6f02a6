"""Neuron allocation: budgets are met, weights survive, what does not fit is said."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from small_scalenet import BASE, CLASSIFIER, DEPTH, SCALES, SMALL, allocate
from torch import nn

from mmscale.allocation.scores import gamma_scores
from mmscale.allocation.selection import select, structure_of
from mmscale.engine.counting import count
from mmscale.structures import FOLDER, load_structure, seed, stage_neurons, uniform


@pytest.mark.parametrize(
    ('name', 'neurons', 'width_factor'),
    [
        ('scalenet50', 697, 1.361),
        ('scalenet101', 682, 1.332),
        ('scalenet152', 715, 1.396),
        ('scalenet50_light', 512, 1.0),
    ],
)
def test_published_structures_obey_the_budgets(tmp_path, name, neurons, width_factor):
    for rows, budget in zip(load_structure(name).stages, stage_neurons(neurons), strict=True):
        assert {sum(row) for row in rows} == {budget}
    backbone = dict(type='mmscale.ScaleNet', structure=seed(720, (1, 1, 1, 1), (1,)))
    head = dict(CLASSIFIER['head'], in_channels=2048)
    model = dict(CLASSIFIER, backbone=dict(backbone, out_indices=(3,)), head=head)
    Config(dict(BASE, model=model)).dump(tmp_path / 'seed.py')
    budget = ('--width-factor', width_factor, '--measure', 'uniform')
    allocate(tmp_path / 'seed.py', '-o', tmp_path / 'found.json', *budget)
    found = [sum(rows[0]) for rows in load_structure(tmp_path / 'found.json').stages]
    assert tuple(found) == stage_neurons(neurons)


@pytest.mark.parametrize('option', ['--neurons 30', '--neurons 3 9 10 31', '--width-factor 0.61'])
def test_neurons_are_met_exactly(trained, tmp_path, option):
    config, checkpoint, model = trained
    out = tmp_path / 'found.json'
    allocate(config, checkpoint, '-o', out, *option.split())
    expected = dict(zip(('--neurons 30', '--width-factor 0.61'), (30, 39))).get(option)
    found = load_structure(out)
    sums = [{sum(row) for row in rows} for rows in found.stages]
    assert sums == [{n} for n in stage_neurons(expected or [3, 9, 10, 31])]
    # And the best ones: what is left out of a block is no larger than what was kept.
    scores = gamma_scores(model.backbone)
    kept = select(scores, [next(iter(s)) for s in sums])
    assert structure_of(kept, SCALES).stages == found.stages
    for blocks, selection in zip(scores, kept, strict=True):
        for block, best in zip(blocks, selection, strict=True):
            inside = torch.cat([block[scale][best[scale]] for scale in block])
            everything = torch.cat(list(block.values()))
            assert inside.sum() == everything.sort(descending=True).values[: len(inside)].sum()


def test_multiply_adds_are_the_most_that_stay_within(trained, tmp_path):
    config, checkpoint, _ = trained
    for number in (9, 17):
        macs = []
        for neurons in (number, number + 1):
            allocate(config, checkpoint, '-o', tmp_path / 'n.json', '--neurons', neurons)
            cfg = Config.fromfile(config)
            cfg.model.backbone.structure = str(tmp_path / 'n.json')
            macs.append(count(cfg, (64, 96))['macs'])
        for target in (macs[0], macs[1] - 1):
            budget = ('--gmacs', target / 1e9, '--shape', 64, 96)
            allocate(config, checkpoint, '-o', tmp_path / 'found.json', *budget)
            assert sum(load_structure(tmp_path / 'found.json').stages[3][0]) == number
    allocate(config, checkpoint, '-o', tmp_path / 'n.json', '--neurons', 120)  # all there are
    cfg.model.backbone.structure = str(tmp_path / 'n.json')
    whole = count(cfg, (64, 96))['macs'] / 1e9
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--gmacs', whole, '--shape', 64, 96)
    assert sum(load_structure(tmp_path / 'found.json').stages[3][0]) == 120


@pytest.mark.parametrize('budget', ['--neurons 30', '--gmacs 0.004 --shape 64 96'])
def test_multiples_stay_within_the_budget(trained, tmp_path, budget):
    config, checkpoint, _ = trained
    out, weights = tmp_path / 'found.json', tmp_path / 'left.pth'
    options = (*budget.split(), '--multiple-of', 4)
    allocate(config, checkpoint, '-o', out, *options, '--keep-weights', weights)
    found = load_structure(out)
    assert {count % 4 for rows in found.stages for row in rows for count in row} == {0}
    each = tuple(sum(rows[0]) for rows in found.stages)
    assert f'{each} neurons of a block' in found.source
    assert 'in multiples of 4' in found.source
    cfg = Config.fromfile(config)
    cfg.model.backbone.structure = str(out)
    MODELS.build(cfg.model).load_state_dict(torch.load(weights, weights_only=True)['state_dict'])
    if '--gmacs' in budget:
        assert count(cfg, (64, 96))['macs'] <= 0.004e9
        larger = sum(found.stages[3][0])
        while load_structure(out).stages == found.stages:
            larger += 1
            allocate(config, checkpoint, '-o', out, '--neurons', larger, '--multiple-of', 4)
        assert count(cfg, (64, 96))['macs'] > 0.004e9
    else:
        assert [sum(rows[0]) for rows in found.stages] == [4, 8, 12, 28]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('--neurons 30 --multiple-of 0', 'multiple_of=0'),
        ('--neurons 30 --multiple-of 5', 'multiple_of=5 is more than the 4 neurons .* stage 1'),
        ('--neurons 900 --multiple-of 64', 'in multiples of 64; choose a smaller multiple'),
        ('--gmacs 0.004 --multiple-of 64', 'in multiples of 64; choose a smaller multiple'),
    ],
)
def test_multiples_that_do_not_fit_are_said(trained, tmp_path, options, message):
    config, checkpoint, _ = trained
    budget = options.split()
    with pytest.raises(SystemExit, match=message):
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', *budget)
    assert not (tmp_path / 'found.json').exists()


def test_the_same_checkpoint_gives_the_same_file(trained, tmp_path):
    config, checkpoint, _ = trained
    contents = []
    for _ in range(2):
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 30)
        contents.append((tmp_path / 'found.json').read_bytes())
    assert contents[0] == contents[1]
    content = json.loads(contents[0])
    assert content['name'] == 'found'
    for fact in ('gamma', 'seed.pth', 'sha256', '(4, 8, 15, 30)', 'mmscale'):
        assert fact in content['source']
    assert str(tmp_path) not in contents[0].decode()


def test_uniform_needs_no_checkpoint(trained, tmp_path, capsys):
    config, _, _ = trained
    allocate(config, '-o', tmp_path / 'even.json', '--neurons', 30, '--measure', 'uniform')
    assert 'score 0' not in capsys.readouterr().out
    expected = load_structure(uniform(30, DEPTH, SCALES))
    assert load_structure(tmp_path / 'even.json').stages == expected.stages


def silenced(model, kept):
    """The large network with gamma and beta 0 for all neurons that were not kept."""
    for blocks, selection in zip(model.backbone.stages, kept, strict=True):
        for block, best in zip(blocks, selection, strict=True):
            for scale, branch in block.aggregate.branches.items():
                gone = torch.ones(len(branch.norm.weight), dtype=torch.bool)
                gone[best[int(scale)]] = False
                with torch.no_grad():
                    branch.norm.weight[gone] = 0
                    branch.norm.bias[gone] = 0
    return model


def test_surviving_weights_compute_what_the_silenced_seed_does(trained, tmp_path, capsys):
    config, checkpoint, model = trained
    out, weights = tmp_path / 'found.json', tmp_path / 'left.pth'
    allocate(config, checkpoint, '-o', out, '--neurons', 13, '--keep-weights', weights)
    assert f'structure={out}' in capsys.readouterr().out
    cfg = Config.fromfile(config)
    cfg.model.backbone.structure = str(out)
    small = MODELS.build(cfg.model).double().eval()
    small.load_state_dict(torch.load(weights, weights_only=True)['state_dict'])
    large = silenced(model, select(gamma_scores(model.backbone), 13)).double()
    x = torch.rand(2, 3, 75, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(small(x), large(x), rtol=1e-12, atol=1e-12)
        assert small(x).std() > 1e-3


def test_surviving_weights_start_a_backbone(trained, tmp_path):
    config, checkpoint, model = trained
    classes = dict(classes=('a', 'b', 'c', 'd', 'e'))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=classes)), checkpoint)
    out, weights = tmp_path / 'found.json', tmp_path / 'left.pth'
    allocate(config, checkpoint, '-o', out, '--neurons', 13, '--keep-weights', weights)
    assert torch.load(weights, weights_only=True)['meta']['dataset_meta'] == classes
    pretrained = dict(type='Pretrained', checkpoint=str(weights))
    backbone = MODELS.build(dict(SMALL, structure=str(out), init_cfg=pretrained))
    backbone.init_weights()
    state = torch.load(weights, weights_only=True)['state_dict']
    assert all(torch.equal(v, state[f'backbone.{k}']) for k, v in backbone.state_dict().items())


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ('--neurons 121', ['16 neurons', 'stage 1', '15']),
        ('--neurons 0', ['0', 'positive']),
        ('--neurons 5 5', ['[5, 5]', '4']),
        ('--width-factor 0.001', ['0.001', '64']),
        ('--width-factor nan', ['nan']),
        ('--width-factor inf', ['inf']),
        ('--gmacs nan --shape 64', ['nan']),
        ('--gmacs 9 --shape 64', ['9', 'out of reach', '64 x 64 px', 'wider seed']),
        ('--gmacs 0.00001 --shape 64', ['out of reach']),
        ('--neurons 9 --batches 0', ['batches=0']),
        ('--neurons 9 --keep-weights no/such/x.pth', ['no/such', 'missing']),
        ('--neurons 9 --keep-weights x.zip', ['x.zip', '.pth']),
        ('--neurons 9 --plot x.jpg', ['x.jpg', '.png']),
        ('--neurons 9 --keep-weights seed.pth', ['seed.pth', 'another name']),
        (f'--neurons 9 -o {FOLDER / "scalenet50.json"}', ['scalenet50.json', 'another name']),
        ('--neurons 9 -o own.json --cfg-options model.backbone.structure=own.json',
         ['own.json', 'another name']),
        ('--neurons 9 --cfg-options model.backbone.structure=nope', ['nope']),
        ('--neurons 9 --cfg-options model.backbone.nope=0', ['nope']),
        ('--neurons 9 --keep-weights x.pth --cfg-options model.backbone.norm_cfg.type=GN '
         'model.backbone.norm_cfg.num_groups=1', ['GroupNorm']),
        ('--neurons 9 --cfg-options model.backbone.out_indices=(2,)', ['(2,)']),
        ('--neurons 9 --cfg-options model.backbone.norm_cfg.type=BN '
         'model.backbone.norm_cfg.affine=False', ['affine']),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_and_nothing_written(
    trained, tmp_path, monkeypatch, arguments, words
):
    config, checkpoint, _ = trained
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'own.json').write_text(json.dumps(seed(40, DEPTH, SCALES)))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    published = (FOLDER / 'scalenet50.json').read_bytes()
    with pytest.raises(SystemExit) as error:
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', *arguments.split())
    assert all(word in str(error.value) for word in words), error.value
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (FOLDER / 'scalenet50.json').read_bytes() == published


def test_uniform_without_weights_has_none_to_keep(trained, tmp_path):
    config, _, _ = trained
    with pytest.raises(SystemExit, match='checkpoint'):
        allocate(config, '-o', tmp_path / 'x.json', '--neurons', 9, '--measure', 'uniform',
                 '--keep-weights', tmp_path / 'x.pth')  # fmt: skip


def test_a_failure_leaves_nothing(trained, tmp_path, monkeypatch):
    config, checkpoint, _ = trained
    before = sorted(tmp_path.iterdir())

    def fail(*_):
        raise OSError('the disk is full')

    monkeypatch.setattr('mmscale.allocation.allocating.write_structure', fail)
    weights, plot = tmp_path / 'kept.pth', tmp_path / 'plot.png'
    with pytest.raises(SystemExit, match='plot.png.*full'):
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 9,
                 '--keep-weights', weights, '--plot', plot)  # fmt: skip
    assert sorted(tmp_path.iterdir()) == before


def test_other_backbones_have_no_neurons_to_allocate(tmp_path):
    with pytest.raises(SystemExit, match='ReXNet'):
        allocate('classification/rexnet-100_in1k', '-o', tmp_path / 'x.json', '--neurons', 9,
                 '--measure', 'uniform')  # fmt: skip


def test_not_a_number_is_said(trained, tmp_path):
    config, checkpoint, model = trained
    nn.init.constant_(model.backbone.stages[1][0].aggregate.branches['4'].norm.weight, torch.nan)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    with pytest.raises(SystemExit, match='finite'):
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 9)
