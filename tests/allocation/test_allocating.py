"""Neuron allocation: the published structures come back, budgets are met, weights survive."""

import json
from types import SimpleNamespace

import pytest
import torch
from conftest import tool
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from torch import nn

from mmscale.allocation.hook import GammaL1Hook
from mmscale.allocation.scores import gamma_scores, taylor_scores
from mmscale.allocation.selection import select, slice_weights, structure_of
from mmscale.engine.config import load_config
from mmscale.engine.counting import backbone_macs, count
from mmscale.models import ScaleNet, classifiers  # noqa: F401
from mmscale.structures import FOLDER, PUBLISHED, load_structure, seed, stage_neurons, uniform

DEPTH = (2, 1, 1, 1)
SCALES = (1, 2, 4)
SMALL = dict(type='mmscale.ScaleNet', base_channels=8, structure=seed(40, DEPTH, SCALES))
CLASSIFIER = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(SMALL, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead', num_classes=5, in_channels=256, loss=dict(type='CrossEntropyLoss')
    ),
)
BASE = dict(
    default_scope='mmpretrain',
    custom_imports=dict(imports=['mmscale.models.classifiers'], allow_failed_imports=False),
)


def randomised(model, random_seed=0):
    """Any weights, running statistics and factors, of either sign, but no zeros."""
    generator = torch.Generator().manual_seed(random_seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.normal_(0, 1, generator=generator)
            module.bias.data.normal_(0, 1, generator=generator)
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return model


@pytest.fixture
def trained(tmp_path):
    """Paths of a classifier's config and of its checkpoint, and the model."""
    init_default_scope('mmpretrain')
    config = Config(dict(BASE, model=CLASSIFIER))
    config.dump(tmp_path / 'seed.py')
    torch.manual_seed(0)
    model = randomised(MODELS.build(config.model)).eval()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'seed.pth')
    return tmp_path / 'seed.py', tmp_path / 'seed.pth', model


def allocate(*arguments):
    tool('allocate_neurons')([str(argument) for argument in arguments])


# --- structures


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


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_ranks_give_published_structures(name):
    published = load_structure(name)
    neurons = [sum(rows[0]) for rows in published.stages]
    with torch.device('meta'):
        backbone = ScaleNet(structure=seed(neurons, published.depths), out_indices=(3,))
    torch.manual_seed(0)
    for blocks, rows in zip(backbone.stages, published.stages, strict=True):
        for block, row in zip(blocks, rows, strict=True):
            branches = block.aggregate.branches.values()
            for branch, chosen in zip(branches, row, strict=True):
                size = len(branch.norm.weight)
                gamma = torch.rand(size)
                gamma[torch.randperm(size)[:chosen]] += 1
                sign = torch.randint(0, 2, (size,)) * 2 - 1
                branch.norm.weight = nn.Parameter(gamma * sign)
    kept = select(gamma_scores(backbone), neurons[-1])
    assert structure_of(kept, published.scales).stages == published.stages


def test_seed_and_uniform_structures():
    stages = load_structure(seed(10, DEPTH, SCALES)).stages
    assert stages == (((2, 2, 2),) * 2, ((3, 3, 3),), ((5, 5, 5),), ((10, 10, 10),))
    stages = load_structure(uniform((4, 5, 6, 7), DEPTH, SCALES)).stages
    assert stages == (((2, 1, 1),) * 2, ((2, 2, 1),), ((2, 2, 2),), ((3, 2, 2),))


def test_stage_neurons_by_hand():
    assert stage_neurons(697) == (88, 175, 349, 697)
    assert stage_neurons([1, 2, 3, 4]) == (1, 2, 3, 4)
    for wrong in (0, -1, 2.5, '8', [1, 2], [1, 2, 3, 0], [], True and [True]):
        with pytest.raises(ValueError, match='neurons'):
            stage_neurons(wrong)


# --- selection


def test_of_equal_scores_the_finer_scale_and_earlier_neuron_are_kept():
    scores = [[{1: torch.tensor([1.0, 2, 1]), 4: torch.tensor([2.0, 1])}]] * 4
    first = select(scores, [1, 2, 3, 4])
    kept = [{scale: best.tolist() for scale, best in stage[0].items()} for stage in first]
    assert kept == [{1: [1], 4: []}, {1: [1], 4: [0]}, {1: [0, 1], 4: [0]}, {1: [0, 1, 2], 4: [0]}]


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


def test_a_step_of_neurons_costs_what_it_should():
    """A neuron more in every block of ScaleNet-50 is worth 18 M multiply-adds at scale 1."""
    macs = [
        backbone_macs(dict(type='mmscale.ScaleNet', structure=seed(n, scales=(1,))), (224, 224))
        for n in (704, 705)  # 88, 176, 352, 704, and one more of each
    ]
    assert macs[1] - macs[0] == pytest.approx(18e6, rel=0.01)


def test_backbone_macs_are_those_that_count_counts():
    cfg = Config(dict(BASE, model=CLASSIFIER))
    expected = count(cfg, (72, 104))['parts']['backbone']['macs']
    assert backbone_macs(CLASSIFIER['backbone'], (72, 104)) == expected


@pytest.mark.parametrize(
    ('plain', 'even'),
    [
        ('shapes/resnet-50-quarter_shapes', 'shapes/scalenet-50-quarter_shapes'),
        ('cifar10/resnet-14_cifar10', 'cifar10/scalenet-14_cifar10'),
    ],
)
def test_networks_that_are_compared_cost_the_same(plain, even):
    budget = count(load_config(plain), (64, 64))['macs']
    config = load_config(even)
    structure = load_structure(config.model.backbone.structure)
    neurons = sum(structure.stages[-1][0])
    assert count(config, (64, 64))['macs'] <= budget
    wider = uniform(neurons + 1, structure.depths, structure.scales)
    config.model.backbone.structure = wider
    assert count(config, (64, 64))['macs'] > budget


def test_the_structure_found_on_cifar_has_the_budget_of_its_comparison():
    budget = count(load_config('cifar10/resnet-14_cifar10'), (64, 64))['macs']
    macs = count(load_config('cifar10/scalenet-14-allocated_cifar10'), (64, 64))['macs']
    assert 0.999 * budget < macs <= budget


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


def test_uniform_needs_no_checkpoint(trained, tmp_path):
    config, _, _ = trained
    allocate(config, '-o', tmp_path / 'even.json', '--neurons', 30, '--measure', 'uniform')
    expected = load_structure(uniform(30, DEPTH, SCALES))
    assert load_structure(tmp_path / 'even.json').stages == expected.stages


# --- surviving weights


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


def test_a_scale_that_nobody_chose_is_gone():
    torch.manual_seed(0)
    backbone = randomised(MODELS.build(SMALL)).eval()
    for stage in backbone.stages:
        for block in stage:
            nn.init.constant_(block.aggregate.branches['2'].norm.weight, 1e-3)
    kept = select(gamma_scores(backbone), 20)
    structure = structure_of(kept, SCALES)
    assert {row[1] for rows in structure.stages for row in rows} == {0}
    small = ScaleNet(structure=structure.content(), base_channels=8)
    small.load_state_dict(slice_weights(backbone.state_dict(), kept, prefix=''))


# --- measures


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
    from mmscale.engine.config import load_config

    cfg = load_config(config)
    cfg.merge_from_dict(changes)
    cfg.dump(tmp_path / 'config.py')
    init_default_scope(cfg.default_scope)
    model_cfg = dict(cfg.model)
    if 'data_preprocessor' in cfg:
        model_cfg['data_preprocessor'] = cfg.data_preprocessor
    torch.manual_seed(0)
    model = randomised(MODELS.build(model_cfg))
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


# --- the hook


def one_step(hook, model, accumulative_counts=1):
    optimiser = torch.optim.SGD(
        [dict(params=model[0].parameters(), lr=0.1), dict(params=model[1].parameters(), lr=0.5)]
    )
    wrapper = OptimWrapper(optimiser, accumulative_counts=accumulative_counts)
    wrapper.initialize_count_status(model, 0, 4)
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper)
    hook.before_train(runner)
    wrapper.update_params(sum(p.sum() for p in model.parameters()) * 0)
    hook.after_train_iter(runner, 0)


def test_the_penalty_draws_factors_to_zero_and_no_further():
    model = nn.Sequential(
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}),
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for net in model:
        gamma = net.stages[0][0].aggregate.branches['1'].norm.weight
        with torch.no_grad():
            gamma[:4] = torch.tensor([0.3, -0.3, 0.001, -0.001])
    one_step(GammaL1Hook(0.1), model)
    for net, lr in zip(model, (0.1, 0.5), strict=True):
        gamma = net.stages[0][0].aggregate.branches['1'].norm.weight
        step = 0.1 * lr
        expected = torch.tensor([0.3 - step, step - 0.3, 0, 0])
        torch.testing.assert_close(gamma[:4].detach(), expected)
    for name, value in model.state_dict().items():
        if 'aggregate' not in name or not name.endswith('norm.weight'):
            assert torch.equal(value, before[name])


def test_the_penalty_waits_for_the_optimiser():
    model = nn.Sequential(
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}), nn.Linear(1, 1)
    )
    gamma = model[0].stages[0][0].aggregate.branches['1'].norm.weight
    one_step(GammaL1Hook(0.1), model, accumulative_counts=2)
    assert torch.equal(gamma.detach(), torch.ones_like(gamma))


def test_the_penalty_leaves_frozen_stages_alone():
    model = nn.Sequential(
        ScaleNet(structure=SMALL['structure'], base_channels=8, frozen_stages=1), nn.Linear(1, 1)
    )
    one_step(GammaL1Hook(0.1), model)
    first, second = (
        model[0].stages[stage][0].aggregate.branches['1'].norm.weight for stage in (0, 1)
    )
    assert torch.equal(first.detach(), torch.ones_like(first))
    assert (second < 1).all()


def test_the_penalty_refuses_what_it_cannot_do():
    for wrong in (-1, float('nan'), float('inf'), '0.1', None):
        with pytest.raises(ValueError, match=f'strength={wrong!r} must be'):
            GammaL1Hook(wrong)
    with pytest.raises(ValueError, match='no SA blocks'):
        GammaL1Hook(1).before_train(SimpleNamespace(model=nn.Linear(1, 1)))


# --- what is said


def test_pruning_without_a_seed_says_so(trained, tmp_path, capsys):
    config, checkpoint, _ = trained
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 40)
    assert 'no seed' not in capsys.readouterr().out
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 41)
    assert 'no seed for this budget: in 5 of 5 blocks' in capsys.readouterr().out


def test_gammas_that_hardly_differ_are_named(trained, tmp_path, capsys):
    config, checkpoint, model = trained
    arguments = ('-o', tmp_path / 'found.json', '--neurons', 20)
    allocate(config, checkpoint, *arguments)
    assert 'told their neurons apart' not in capsys.readouterr().out
    for branch in model.backbone.stages[3][0].aggregate.branches.values():
        nn.init.uniform_(branch.norm.weight, 0.4, 0.41)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    allocate(config, checkpoint, *arguments)
    assert 'in 1 of 5 blocks (from 0: [4]) nine of ten gammas' in capsys.readouterr().out


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
        ('--neurons 9 --batches 0', ['batches 0']),
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
    with pytest.raises(SystemExit, match='needs a checkpoint whose weights are kept'):
        allocate(config, '-o', tmp_path / 'x.json', '--neurons', 9, '--measure', 'uniform',
                 '--keep-weights', tmp_path / 'x.pth')  # fmt: skip


def test_a_failure_leaves_nothing(trained, tmp_path, monkeypatch):
    config, checkpoint, _ = trained
    before = sorted(tmp_path.iterdir())

    def fail(*_):
        raise OSError('the disk is full')

    monkeypatch.setattr('mmscale.allocation.allocating.write_structure', fail)
    weights, plot = tmp_path / 'kept.pth', tmp_path / 'plot.png'
    with pytest.raises(OSError, match='full'):
        allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 9,
                 '--keep-weights', weights, '--plot', plot)  # fmt: skip
    assert sorted(tmp_path.iterdir()) == before


def test_dead_neurons_are_said(trained, tmp_path, capsys):
    config, checkpoint, model = trained
    branch = model.backbone.stages[1][0].aggregate.branches
    for scale in ('2', '4'):
        nn.init.zeros_(branch[scale].norm.weight)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 9)
    assert 'score 0' not in capsys.readouterr().out
    allocate(config, checkpoint, '-o', tmp_path / 'found.json', '--neurons', 15, 15, 15, 15)
    assert 'in 1 of 5 blocks neurons of score 0 are kept' in capsys.readouterr().out


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


def test_structures_are_drawn_beside_each_other(tmp_path):
    import cv2

    tool('plot_structures')(['scalenet50', 'scalenet50_light', '--out', str(tmp_path / 'two.png')])
    tool('plot_structures')(['scalenet50', '--out', str(tmp_path / 'one.png')])
    two, one = (cv2.imread(str(tmp_path / f'{name}.png')) for name in ('two', 'one'))
    assert two.shape[0] > 1.5 * one.shape[0]
    for arguments, words in (
        (['scalenet18', '--out', str(tmp_path / 'none.png')], 'scalenet18'),
        (['scalenet50', '--out', str(tmp_path / 'no/such.png')], 'is missing'),
        (['scalenet50', '--out', str(tmp_path / 'none.jpg')], 'must end in .png'),
    ):
        with pytest.raises(SystemExit, match=words):
            tool('plot_structures')(arguments)
    odd = tmp_path / 'odd.json'
    content = seed(8, (1, 1, 1, 1), scales=tuple(range(1, 13)))
    odd.write_text(json.dumps({**content, 'name': 'cost $\\frac{a$ ' * 20}))
    tool('plot_structures')([str(odd), '--out', str(tmp_path / 'odd.png')])
    assert cv2.imread(str(tmp_path / 'odd.png')) is not None
