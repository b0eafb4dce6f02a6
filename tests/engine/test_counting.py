"""Networks that are compared cost the same; what a step of neurons costs."""

import pytest
from mmengine.config import Config
from small_scalenet import BASE, CLASSIFIER

from mmscale.engine.config import load_config
from mmscale.engine.counting import backbone_macs, count
from mmscale.structures import load_structure, seed, uniform


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
