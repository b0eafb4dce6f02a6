"""The child config: it does what the adaptation does, and says why."""

import pytest
from mmengine.config import Config
from small_detectors import retinanet

from mmscale.adapting import plan
from mmscale.adapting.changes import Change, make
from mmscale.adapting.files import adapt_file
from mmscale.adapting.writing import WIDTH, base_name, child
from mmscale.engine.config import FOLDER, load_config
from mmscale.errors import UserError


def without_scopes(node):
    """A config as plain dicts and lists; mmengine marks what it inherits from a package."""
    if isinstance(node, dict):
        return {key: without_scopes(value) for key, value in node.items() if key != '_scope_'}
    return [without_scopes(v) for v in node] if isinstance(node, (list, tuple)) else node


CONFIGS = (
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco',
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco',  # a neck where there was none
    'mmdet::libra_rcnn/libra-retinanet_r50_fpn_1x_coco',  # a list of necks
    'mmdet::rtmdet/rtmdet_x_p6_4xb8-300e_coco',  # a list where there was one neck
    'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco',  # the optimiser
    'mmdet::ssd/ssd300_coco',
)


@pytest.mark.parametrize('name', CONFIGS)
def test_a_child_is_read_as_the_adapted_config(tmp_path, name):
    cfg = load_config(name)
    found = plan(cfg, 'ReXNet', {})
    out = tmp_path / 'child.py'
    text = child(base_name(name, cfg, out), 'A test.', cfg, found.changes)
    out.write_text(text)
    assert without_scopes(load_config(out).to_dict()) == without_scopes(found.cfg.to_dict())
    assert max(map(len, text.splitlines())) <= WIDTH
    for change in found.changes:  # every reason stands there, however its lines are broken
        said = ' '.join(text.replace('#', ' ').split()).lower()
        assert change.why.lower() in said


def tree(cfg, *changes):
    return child('base.py', 'A test.', Config(cfg), [Change(*change) for change in changes])


def test_a_dict_is_deleted_only_where_there_is_one():
    assert '_delete_' in tree(dict(a=dict(b=1)), (('a',), dict(c=2), '', True))
    assert '_delete_' not in tree({}, (('a',), dict(c=2), '', True))


def test_lists_are_written_whole_with_what_is_said_of_them():
    text = tree(
        dict(a=[dict(b=1, c=2), dict(b=3)]), (('a', 0, 'b'), 5, 'one'), (('a', 1, 'b'), 6, 'two')
    )
    assert '# One; two\na = [dict(b=5, c=2), dict(b=6)]' in text


def test_keys_that_are_no_names_are_quoted():
    value = {'backbone.norm': dict(lr_mult=0.1), 'lambda': 1.5}
    namespace = {}
    exec(tree({}, (('a',), dict(custom_keys=value))), namespace)
    assert namespace['a']['custom_keys'] == value


def test_changes_leave_the_config_as_it_is():
    cfg = Config(dict(a=[dict(b=1)]))
    changed = make(cfg, [Change(('a', 0, 'b'), 2), Change(('c', 'd'), 3)])
    assert (cfg.a[0].b, changed.a[0].b, changed.c.d) == (1, 2, 3)


@pytest.mark.parametrize(
    ('config', 'out', 'base'),
    [
        ('a/base.py', 'a/child.py', 'base.py'),
        ('a/base.py', 'b/child.py', '../a/base.py'),
        ('mmdet::x/y', 'a/child.py', 'mmdet::x/y.py'),
    ],
)
def test_a_child_names_its_base(tmp_path, config, out, base):
    for folder in 'ab':
        (tmp_path / folder).mkdir()
    (tmp_path / 'a/base.py').touch()
    cfg = Config.fromfile(tmp_path / 'a/base.py')
    given = config if '::' in config else tmp_path / config
    assert base_name(given, cfg, tmp_path / out) == base


@pytest.mark.parametrize('name', ['rexnet/faster-rcnn_rexnet-130_fpn_1x_coco', 'own_dataset'])
def test_a_child_of_ours_names_its_base(tmp_path, name):
    path = FOLDER / f'{name}.py'
    base = base_name(name, Config.fromfile(path), tmp_path / 'child.py')
    assert base == (f'mmscale::{name}.py' if '/' in name else str(path.resolve()))


def test_nothing_is_written_if_the_proof_fails(tmp_path, monkeypatch):
    base = tmp_path / 'base.py'
    retinanet().dump(base)

    def refuse(cfg, original):
        raise UserError('it does not work')

    monkeypatch.setattr('mmscale.adapting.files.prove', refuse)
    with pytest.raises(UserError, match='does not work'):
        adapt_file(str(base), 'ReXNet', {}, tmp_path / 'child.py')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['base.py']


def test_what_is_there_stays_but_for_force(tmp_path):
    base, out = tmp_path / 'base.py', tmp_path / 'child.py'
    retinanet().dump(base)
    out.write_text('edited = True\n')
    with pytest.raises(UserError, match='--force'):
        adapt_file(str(base), 'ReXNet', {}, out, proof=False)
    assert out.read_text() == 'edited = True\n'
    adapt_file(str(base), 'ReXNet', {}, out, proof=False, force=True)
    assert 'mmscale.ReXNet' in out.read_text()


def test_the_child_of_a_pure_python_config_holds_the_whole(tmp_path):
    model = retinanet().model.to_dict()
    (tmp_path / 'base.py').write_text(f'model = {model!r}\n')
    pure = tmp_path / 'pure.py'
    pure.write_text(
        'from mmdet.models import RetinaNet\nfrom mmengine.config import read_base\n\n'
        'with read_base():\n    from .base import *\n\nmodel.update(type=RetinaNet)\n'
    )
    written = adapt_file(str(pure), 'ReXNet', dict(init_cfg=None), tmp_path / 'child.py')
    assert written.unproven is None
    cfg = load_config(written.path)
    assert cfg.model.neck.in_channels == [38, 61, 128, 185]
    assert '_base_ =' not in written.path.read_text()


def test_a_config_is_not_written_over(tmp_path):
    base = tmp_path / 'base.py'
    retinanet().dump(base)
    with pytest.raises(UserError, match='is read'):
        adapt_file(str(base), 'ReXNet', {}, base)
