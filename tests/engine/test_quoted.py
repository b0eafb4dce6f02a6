"""The config that a checkpoint quotes is data: what is made of it, and what is refused unrun."""

import random
from pathlib import Path

import pytest
from mmengine.config import Config

from mmscale.engine.building import build_model
from mmscale.engine.config import load_config
from mmscale.engine.quoted import quoted_config
from mmscale.errors import UserError

CONFIGS = (
    'shapes/faster-rcnn_rexnet-100_fpn_shapes',
    'shapes/faster-rcnn_san-18_fpn_shapes',
    'shapes/scalenet-50-quarter_shapes',
    'rexnet/mask2former_rexnet-100_8xb2-lsj-50e_coco',
    'rexnet/rtmdet-ins_rexnet-100_8xb32-300e_coco',
    'rexnet/ssdlite_rexnet-100_8xb24-600e_coco',
    'scalenet/mask-rcnn_scalenet-50_fpn_1x_coco',
    'segmentation/upernet_rexnet-100_4xb4-80k_ade20k-512x512',
    'own_dataset',  # its pipelines are its base's, and have mmengine's _scope_
)


def quoted(text, trust=False):
    return quoted_config(dict(meta=dict(cfg=text)), 'x.pth', trust=trust)


def text_of(cfg):
    """As a run quotes it; yapf, which takes seconds, only breaks its lines."""
    return Config(cfg._cfg_dict, format_python_code=False).pretty_text


@pytest.fixture(scope='module')
def text(shapes):
    return text_of(load_config(CONFIGS[0]))


@pytest.mark.parametrize('name', CONFIGS)
def test_what_is_quoted_describes_the_same_model(name, shapes):
    if name.startswith('segmentation'):
        pytest.importorskip('mmseg')
    cfg = load_config(name)
    found = quoted(text_of(cfg))
    assert found.default_scope == cfg.default_scope
    assert found.model.backbone.type == cfg.model.backbone.type
    assert found.model.get('train_cfg') is None
    assert 'optim_wrapper' not in found
    one, other = (
        {key: value.shape for key, value in build_model(c).state_dict().items()}
        for c in (found, cfg)
    )
    assert one == other
    if found.default_scope != 'mmpretrain':  # whose classes are folders: the checkpoint has them
        assert found.test_dataloader.dataset.metainfo.classes


def test_yapfs_text_says_the_same(text, shapes):
    found = quoted(load_config(CONFIGS[0]).pretty_text)
    assert found.to_dict() == quoted(text).to_dict()


def test_steps_that_a_config_takes_from_its_base_have_a_scope(text):
    taken = text.replace("type='Resize'", "_scope_='mmdet', type='Resize'")
    assert taken != text
    assert quoted(taken).to_dict() == quoted(text).to_dict()


def with_model(**changes):
    cfg = load_config(CONFIGS[0])
    for key, value in changes.items():
        node = cfg.model
        *path, last = key.split('__')
        for part in path:
            node = node[part]
        node[last] = value
    return text_of(cfg)


HOSTILE = {
    'a call': 'model = open("{ran}", "w")',
    'a call among the values': 'model = dict(type="X", depth=open("{ran}", "w"))',
    'an import': '__import__("pathlib").Path("{ran}").touch()\nmodel = dict()',
    'a comprehension': 'model = dict(x=[open("{ran}", "w") for _ in "a"])',
    'an f-string': 'model = dict(x=f\'{{open("{ran}", "w")}}\')',
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_program_is_not_run(kind, tmp_path):
    text = "default_scope = 'mmdet'\n" + HOSTILE[kind].format(ran=tmp_path / 'ran')
    with pytest.raises(UserError, match='quotes'):
        quoted(text)
    assert not (tmp_path / 'ran').exists()


NMS = 'test_cfg__rcnn__nms'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(type='subprocess.Popen'), "model.type is 'subprocess.Popen'"),
        (dict(neck=dict(type='os.system')), 'model.neck.type'),
        (dict(backbone__type='builtins.eval'), 'model.backbone.type'),
        ({f'{NMS}__type': "__import__('os').abort()"}, 'neither a word nor the name of a type'),
        ({f'{NMS}__type': 'os'}, "rcnn.nms.type is 'os'"),
        (dict(neck___scope_='evil'), "_scope_='evil'"),
        (dict(backbone=dict(type='CameraMotionCompensation')), 'CameraMotionCompensation'),
        (dict(backbone=dict(type='mmpretrain.TIMMBackbone')), 'TIMMBackbone'),
        (dict(backbone=dict(type='mmpretrain.HuggingFaceClassifier')), 'HuggingFaceClassifier'),
        (dict(backbone=dict(type='MyOwn')), 'custom_imports are code'),
        (dict(roi_head__bbox_head__loss_cls__act='os.abort'), 'os.abort'),
        (dict(roi_head__bbox_head__loss_cls__act='f()'), 'neither a word'),
    ],
)
def test_types_of_strangers_are_refused_in_a_line(changes, words, shapes):
    with pytest.raises(UserError, match=words.replace('(', r'\(').replace(')', r'\)')) as error:
        quoted(with_model(**changes))
    assert '\n' not in str(error.value)
    assert '--trust-checkpoint' in str(error.value)


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [
        ("type='Resize'", "type='os.system'", 'is .system., but a file can describe'),
        ("type='Resize'", "type='Resize', backend=open", "'open'"),
        ("default_scope='mmdet'", "default_scope='os'", 'is none of mmdet'),
        ('model=', 'nothing=', 'has no model'),
    ],
)
def test_pipelines_and_scopes_are_checked(text, old, new, words):
    text = text.replace(' = ', '=')
    assert old in text
    with pytest.raises(UserError, match=words):
        quoted(text.replace(old, new))


@pytest.mark.parametrize(
    'text',
    [
        '(' * 10_000,
        'model = ' + '[' * 90 + ']' * 90,
        'model = ' + '-' * 100_000 + '1',
        "default_scope='mmdet'\nmodel = -'x'",
        "default_scope='mmdet'\nmodel = dict(1)",
        "default_scope='mmdet'\nmodel = dict(**{})",
        "default_scope='mmdet'\nmodel = {[]: 1}",
        "default_scope='mmdet'\nmodel = dict(type='FPN')\ntest_dataloader = dict(dataset=3)",
        "default_scope='mmdet'\nmodel = dict(type='FPN')\ntest_dataloader = dict("
        'dataset=dict(pipeline=7))',
        'x = ' + '1' * 2_000_000,
        '\0',
        '',
    ],
)
def test_what_is_no_config_is_a_line(text):
    with pytest.raises(UserError) as error:
        quoted(text)
    assert '\n' not in str(error.value)
    assert len(str(error.value)) < 800


def test_mutations_are_read_or_refused(text):
    draw = random.Random(0)
    refused = 0
    for _ in range(150):
        letters = list(text)
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(letters))
            letters[place] = draw.choice('()[]{}\'"=,.*-_ \nx7')
        try:
            quoted(''.join(letters))
        except UserError:
            refused += 1
    assert 0 < refused < 150


def test_a_trusted_config_is_a_program(tmp_path):
    ran = tmp_path / 'ran'
    cfg = quoted(f'opened = open(r"{ran}", "w").close()\nx = 1', trust=True)
    assert ran.exists()
    assert cfg.x == 1
    with pytest.raises(UserError, match='cannot be read'):
        quoted('x = 1 / 0', trust=True)


def test_weights_without_a_config_say_so():
    for content in ({}, dict(meta=None), dict(meta=dict(cfg=7)), dict(meta=dict(cfg=' '))):
        with pytest.raises(UserError, match='--config CONFIG'):
            quoted_config(content, str(Path('x.pth')))
