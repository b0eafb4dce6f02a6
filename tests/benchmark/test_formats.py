"""The forms of a model side by side, and the fastest that agrees."""

import pytest
import torch
from torch import nn

from mmscale import benchmark
from mmscale.benchmark import formats
from mmscale.deploy import best
from mmscale.errors import UserError
from mmscale.models import ReXNetLite


@pytest.fixture
def few(monkeypatch):
    """Without torch.compile, which takes minutes."""
    names = ('eager', 'channels-last', 'fused', 'native')
    monkeypatch.setattr(formats, 'EXACT', names)
    return names


def test_the_fastest_form_gives_the_outputs_of_the_model(few):
    model, x = ReXNetLite(width_mult=1.0), torch.rand(1, 3, 64, 64)
    found = best(model, x, seconds=0.1)
    assert [one.form for one in found.tried] == list(few)
    times = {one.form: one.ms for one in found.tried if one.ms}
    assert found.form == min(times, key=times.get)
    assert model.training  # as it was
    with torch.no_grad():
        expected = model.eval()(x)
    assert isinstance(found.run(x), type(expected))
    for ours, theirs in zip(found.run(x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        assert not ours.requires_grad


def test_engines_give_tensors_in_the_structure_of_the_model(monkeypatch):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model, x = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), torch.rand(1, 3, 8, 8)
    eager, exported = formats.try_forms(model, x, ('eager', 'onnxruntime'), 0.05)
    assert exported.note == ''
    assert exported.difference < 1e-5
    torch.testing.assert_close(exported.run(x), eager.run(x), rtol=1e-4, atol=1e-5)


def test_a_form_that_computes_something_else_is_not_taken(monkeypatch):
    monkeypatch.setitem(formats.FORMS, 'wrong', lambda model, x: lambda x: model(x) * 1.01)
    monkeypatch.setitem(formats.FORMS, 'shape', lambda model, x: lambda x: model(x)[..., :1])
    monkeypatch.setitem(formats.FORMS, 'nan', lambda model, x: lambda x: model(x) / 0)
    monkeypatch.setattr(formats, 'EXACT', ('eager', 'wrong', 'shape', 'nan'))
    found = best(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 8, 8), seconds=0.01)
    assert found.form == 'eager'
    assert found.tried[1].difference == pytest.approx(0.01, rel=1e-3)
    assert [bool(one.note) for one in found.tried] == [False, True, True, True]


def test_short_calls_are_timed_a_thousand_times_at_most(monkeypatch):
    monkeypatch.setattr(formats, 'MOST_ROUNDS', 5)
    times = formats._timed({'a': torch.neg, 'b': torch.neg}, torch.rand(1), 100.0)
    assert {form: len(own) for form, own in times.items()} == {'a': 5, 'b': 5}


@pytest.mark.parametrize('model', [lambda x: {'name': 'cat'}, lambda x: x[..., None] @ x])
def test_what_cannot_be_compared_is_refused_before_other_forms(monkeypatch, model):
    class Model(nn.Module):
        def forward(self, x):
            return model(x)

    made = []
    monkeypatch.setitem(formats.FORMS, 'fused', lambda *given: made.append(given))
    with pytest.raises(UserError, match='are no tensors|cannot be run on the example'):
        best(Model(), torch.rand(1, 3, 8, 8), seconds=0.01)
    assert not made


def test_what_cannot_be_made_says_why(few):
    found = best(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 8, 8), seconds=0.01)
    native = found.tried[3]
    assert native.ms is None
    expected = 'it has neither blocks of ReXNet or ScaleNet nor 3x3 convolutions'
    assert native.note.startswith(expected)


@pytest.mark.parametrize(
    ('model', 'example', 'told'),
    [
        ('ReXNet', torch.rand(1, 3, 8, 8), 'str has no forms'),
        (nn.Conv2d(3, 4, 1), [1], 'example is a list'),
        (nn.Conv2d(3, 4, 1), torch.rand(1, 5, 8, 8), r'run on the example, \(1, 5, 8.*channels'),
        (nn.Conv2d(3, 4, 1), torch.ones(1, 3, 8, 8, dtype=torch.int64), 'of torch.int64: '),
        (nn.Conv2d(3, 4, 1), torch.rand(0, 3, 8, 8), r'shape is \(0, 3, 8, 8\): give one image'),
        (nn.Identity(), torch.rand(1, 5), None),
    ],
)
def test_bad_arguments(few, model, example, told):
    if told is None:
        assert torch.equal(best(model, example, seconds=0.01).run(example), example)
        return
    with pytest.raises(UserError, match=told):
        best(model, example, seconds=0.01)


def test_the_command_lists_forms_and_reasons():
    result = benchmark.run(['resnet-50'], ['1x64x64'], formats=('eager', 'fused', 'native'))
    eager, fused, native = result['rows']
    assert [row['case'] for row in result['rows']] == [
        'resnet-50:eager', 'resnet-50:fused', 'resnet-50:native'
    ]  # fmt: skip
    assert 0 < fused['difference'] < 1e-4
    assert fused['ms'] > 0
    assert fused['mib'] > 80
    assert native['difference'] < 1e-4
    assert native['note'] == ''
    assert eager['difference'] == 0


def test_errors_of_the_command():
    with pytest.raises(UserError, match="give 'resnet-50' without 'fused'"):
        benchmark.run(['resnet-50:fused'], formats=('eager',))
    with pytest.raises(UserError, match="'fast'"):
        benchmark.run(['resnet-50'], formats=('fast',))
    with pytest.raises(UserError, match='--formats'):
        benchmark.run(['resnet-50'], formats=('',))


def test_all_cases_are_checked_before_the_first_is_timed(monkeypatch):
    monkeypatch.setattr(benchmark, 'try_forms', pytest.fail)
    with pytest.raises(UserError, match="give 'resnet-50' without 'fused'"):
        benchmark.run(['rexnet-100', 'resnet-50:fused'], formats=('eager',))
