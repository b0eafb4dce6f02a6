"""The engines of exported files: one for each suffix, and what has none is refused by name."""

from pathlib import Path

import pytest

from mmscale.errors import UserError
from mmscale.exported.engines import ENGINES, engine_of, is_exported


@pytest.mark.parametrize('field', ['name', 'suffix'])
def test_engines_differ(field):
    values = [getattr(engine, field) for engine in ENGINES]
    assert len(set(values)) == len(values)
    assert all(engine.suffix.startswith('.') for engine in ENGINES)


@pytest.mark.parametrize('engine', ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize('kind', [str, Path])
def test_a_suffix_names_its_engine(engine, kind):
    path = kind(f'folder.pth/model.v2{engine.suffix}')
    assert engine_of(path) is engine
    assert is_exported(path)


@pytest.mark.parametrize('path', ['model.pth', 'model', '.onnx', 'model.ONNX', 'model.onnx/epoch'])
def test_other_suffixes_are_refused_by_name(path):
    assert not is_exported(path)
    with pytest.raises(UserError) as error:
        engine_of(path)
    assert repr(path) in str(error.value)
    assert all(f'NAME{engine.suffix}' in str(error.value) for engine in ENGINES)


@pytest.mark.parametrize('engine', ENGINES, ids=lambda engine: engine.name)
def test_what_an_engine_cannot_read_is_named(engine, tmp_path):
    pytest.importorskip(engine.package)
    path = tmp_path / f'broken{engine.suffix}'
    path.write_text('no model')
    with pytest.raises(UserError) as error:
        engine.open(path, 1)
    assert str(path) in str(error.value)
