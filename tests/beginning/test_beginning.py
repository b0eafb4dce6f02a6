"""From a folder to a config, and on to a trained model."""

import ast
import json
import shutil
from pathlib import Path

import cv2
import layouts
import numpy as np
import pytest
from runs import loaders, scalars

import mmscale
from mmscale.beginning import beginning
from mmscale.beginning.beginning import begin
from mmscale.cli.new import main
from mmscale.engine.config import load_config
from mmscale.engine.training import train
from mmscale.errors import UserError

FIVE = ('roboflow_coco', 'datumaro', 'yolo', 'voc', 'classes')


@pytest.fixture
def unproven(monkeypatch):
    """Without the model, which takes seconds: `test_the_model_is_proven` is about it."""
    monkeypatch.setattr(beginning, 'trial_fault', lambda cfg: None)


@pytest.fixture
def undrawn(unproven, monkeypatch):
    """And without the page."""
    for name in ('draw_detection', 'draw_classes'):
        monkeypatch.setattr(beginning, name, lambda *arguments: arguments[-1].touch())


@pytest.fixture(scope='module')
def roots(shapes, tmp_path_factory):
    """The five layouts."""
    base = tmp_path_factory.mktemp('data')
    return {name: getattr(layouts, name)(shapes, base / name) for name in FIVE}


def tree(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('name', FIVE)
def test_five_layouts_become_configs(roots, tmp_path, unproven, name):
    before = tree(roots[name])
    begun = begin(roots[name], tmp_path / 'my_config.py')
    assert tree(roots[name]) == before  # nothing in it is changed
    cfg = load_config(begun.config)
    assert cfg.auto_scale_lr.enable
    sets = [cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')]
    assert all(dataset.data_root == f'{roots[name]}/' for dataset in sets)
    page = cv2.imread(str(begun.page))
    assert page.shape[1] > 1000
    assert np.unique(page).size > 100
    ast.parse(begun.config.read_text())
    lines = begun.config.read_text().splitlines()
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 100
    if name == 'classes':
        assert cfg.model.head.num_classes == 8
        assert cfg.train_pipeline[1].transforms[0][0].scale == 64
        return
    assert cfg.model.roi_head.bbox_head.num_classes == len(cfg.classes) == 8
    assert 'mask_head' not in cfg.model.roi_head or name == 'datumaro'
    assert cfg.train_dataloader.dataset.pipeline[2].scale == cfg.image_size
    assert cfg.val_dataloader.dataset.pipeline[1].scale == cfg.image_size
    generator = cfg.model.rpn_head.anchor_generator
    assert (generator.scales, generator.ratios) == (cfg.anchor_scales, cfg.anchor_ratios)
    made = {path.name for path in begun.page.parent.iterdir()}
    written = {'train.json', 'val.json'} if name in ('yolo', 'voc') else set()
    assert made == {'overview.png', *written}


def test_the_model_is_proven(roots, tmp_path, monkeypatch):
    proven = []

    def prove(cfg):
        proven.append(cfg)
        return trial(cfg)

    trial = beginning.trial_fault
    monkeypatch.setattr(beginning, 'trial_fault', prove)
    begin(roots['datumaro'], tmp_path / 'my_config.py')
    (cfg,) = proven
    assert cfg.model.type == 'MaskRCNN'
    monkeypatch.setattr(beginning, 'trial_fault', lambda cfg: 'it does not')
    with pytest.raises(UserError, match='it does not'):
        begin(roots['datumaro'], tmp_path / 'other.py')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['my_config.py', 'my_config_data']


def test_a_set_without_validation_is_split(shapes, tmp_path, undrawn):
    root = layouts.yolo(shapes, tmp_path / 'my "set" ü', splits=['train'])
    begun = begin(root, tmp_path / 'my_config.py')
    assert any('20% of the pictures were split off, by seed 0' in note for note in begun.notes)
    parts = [json.loads((begun.page.parent / f'{s}.json').read_text()) for s in ('train', 'val')]
    assert [len(part['images']) for part in parts] == [10, 2]
    first = tree(begun.page.parent)
    assert tree(begin(root, tmp_path / 'my_config.py', force=True).page.parent) == first


def test_class_folders_without_validation_are_split(roots, tmp_path, undrawn):
    begun = begin(roots['classes'] / 'train', tmp_path / 'my_config.py')
    lists = {split: begun.page.with_name(f'{split}.txt').read_text() for split in ('train', 'val')}
    assert [len(text.splitlines()) for text in lists.values()] == [26, 6]
    assert len({line.split()[1] for line in lists['val'].splitlines()}) == 6
    cfg = load_config(begun.config)
    assert cfg.train_dataloader.dataset.ann_file == str(begun.page.with_name('train.txt'))


def test_too_little_to_split_is_refused(shapes, tmp_path):
    for name in ('heart', 'ring'):
        (tmp_path / 'set' / name).mkdir(parents=True)
        picture = next((shapes / f'classes/train/{name}').iterdir())
        shutil.copy(picture, tmp_path / 'set' / name)
    with pytest.raises(UserError, match='no picture can be split off to validate on'):
        begin(tmp_path / 'set', tmp_path / 'my_config.py')
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_warnings_name_the_files_that_are_kept(shapes, tmp_path, undrawn):
    root = layouts.coco(shapes, tmp_path / 'set')
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'] = [1000, 1000, 20, 20]
    del content['annotations'][0]['area']
    path.write_text(json.dumps(content))
    begun = begin(root, tmp_path / 'my_config.py')
    added = "1 annotation file without area, which the copy has: 'instances_val.json'"
    assert added in begun.notes
    (said,) = [note for note in begun.notes if 'outside' in note]
    assert not said.startswith('warning')  # the command calls it a note
    assert str(begun.page.with_name('val.json')) in said
    assert '.tmp' not in said


def test_annotations_of_no_picture_are_said(shapes, tmp_path, undrawn):
    root = layouts.coco(shapes, tmp_path / 'set')
    (root / 'annotations/instances_val.json').unlink()
    (path,) = root.rglob('*.json')
    content = json.loads(path.read_text())
    content['annotations'][0]['image_id'] = 99
    path.write_text(json.dumps(content))
    notes = begin(root, tmp_path / 'my_config.py').notes
    assert '1 annotation of an image_id that no image has, left out' in notes


def test_pictures_without_objects_are_trained_on(shapes, tmp_path, undrawn):
    root = layouts.yolo(shapes, tmp_path / 'set')
    min((root / 'labels/train').iterdir()).write_text('')
    begun = begin(root, tmp_path / 'my_config.py')
    assert '1 picture without objects: trained on as background' in begun.notes
    assert load_config(begun.config).train_dataloader.dataset.filter_cfg.filter_empty_gt is False


def test_class_names_come_as_they_are(shapes, tmp_path, undrawn):
    root = layouts.coco(shapes, tmp_path / 'set')
    names = [
        'x' * 240,
        'a b ' * 60 + 'c',
        'it\'s "x", \'\\',
        'a\n\tb\0',
        '猫\u3000狗',
        '$x^$',
        '-' * 120,
        '{%}',
    ]
    for path in root.rglob('instances_*.json'):
        content = json.loads(path.read_text())
        for category, name in zip(content['categories'], names, strict=True):
            category['name'] = name
        path.write_text(json.dumps(content))
    cfg = load_config(begin(root, tmp_path / 'my_config.py').config)
    assert list(cfg.classes) == names


@pytest.mark.parametrize('kind', ['yolo', 'coco', 'classes'])
def test_names_that_are_no_utf_8(kind, shapes, tmp_path, unproven):
    root = getattr(layouts, kind)(shapes, tmp_path / 's\udcff {{ fileDirname }}')
    picture = min(root.rglob('*.jpg'))
    for path in (picture, *root.rglob(f'{picture.stem}.txt')):
        path.rename(path.with_name(f'\udcff{path.suffix}'))
    for path in root.rglob('*.json'):
        path.write_text(path.read_text().replace(picture.name, r'\udcff.jpg'))
    begun = begin(root, tmp_path / 'my_config.py')
    assert begun.page.is_file()
    cfg = load_config(begun.config)
    assert cfg.data_root == f'{root}/'
    if kind != 'classes':
        content = json.loads(Path(root, cfg.train_set.ann_file).read_text())
        files = [
            Path(root, cfg.train_set.data_prefix.img, i['file_name']) for i in content['images']
        ]
        assert any('\udcff.jpg' in file.name for file in files)
        assert all(file.is_file() for file in files)


def test_a_list_of_pictures_has_no_names_that_break_it(shapes, tmp_path, undrawn):
    root = layouts.classes(shapes, tmp_path / 'set')
    shutil.rmtree(root / 'val')
    picture = min(root.rglob('*.jpg'))
    picture.rename(picture.with_name('a\nb.jpg'))
    with pytest.raises(UserError, match=r"'.*/a\\nb.jpg' cannot stand in a list of pictures"):
        begin(root, tmp_path / 'my_config.py')
    assert not (tmp_path / 'my_config.py').exists()


def test_faults_of_the_data_leave_nothing(shapes, tmp_path):
    root = layouts.coco(shapes, tmp_path / 'set')
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    content['categories'].reverse()
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='in another order'):
        begin(root, tmp_path / 'my_config.py')
    assert [p.name for p in tmp_path.iterdir()] == ['set']


def spoil(path, **lists):
    """Write other lists into an annotation file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **lists}))


@pytest.mark.parametrize('splits', [('train', 'val'), ('train',), ('val',)])
def test_an_unused_twin_of_a_category_is_left_out(shapes, tmp_path, undrawn, splits):
    root = layouts.coco(shapes, tmp_path / 'set')
    names = layouts.names_of(layouts.read(shapes, 'train'))
    for split in splits:
        path = root / f'annotations/instances_{split}.json'
        twin = dict(id=0, name=names[0], supercategory='none')
        spoil(path, categories=[twin, *json.loads(path.read_text())['categories']])
    begun = begin(root, tmp_path / 'my_config.py')
    assert list(load_config(begun.config).classes) == names
    said = [note for note in begun.notes if 'categories of one name' in note]
    assert len(said) == len(splits)


def test_a_twin_is_left_out_of_a_set_that_is_split(shapes, tmp_path, undrawn):
    root = layouts.coco(shapes, tmp_path / 'set')
    (root / 'annotations/instances_val.json').unlink()
    path = root / 'annotations/instances_train.json'
    categories = json.loads(path.read_text())['categories']
    spoil(path, categories=[dict(id=0, name=categories[0]['name']), *categories])
    begun = begin(root, tmp_path / 'my_config.py')
    for split in ('train', 'val'):
        made = json.loads((begun.page.parent / f'{split}.json').read_text())
        assert made['categories'] == categories


@pytest.mark.parametrize('splits', [('train', 'val'), ('train',)])
def test_nothing_to_train_on_is_refused(shapes, tmp_path, splits):
    root = layouts.coco(shapes, tmp_path / 'set')
    for split in splits:
        spoil(root / f'annotations/instances_{split}.json', annotations=[])
    with pytest.raises(UserError, match='no object to train on: 0 annotations in 12 pictures'):
        begin(root, tmp_path / 'my_config.py')
    assert [p.name for p in tmp_path.iterdir()] == ['set']


@pytest.mark.parametrize('name', ['classes', 'yolo', 'voc'])
def test_pictures_that_are_all_broken(roots, tmp_path, name):
    root = shutil.copytree(roots[name], tmp_path / 'set')
    for picture in root.rglob('*.jpg'):
        picture.write_text('no picture')
    with pytest.raises(UserError, match=r"none of the \d+ pictures of 'train' .*such as '.*jpg'"):
        begin(root, tmp_path / 'my_config.py')
    assert [p.name for p in tmp_path.iterdir()] == ['set']


@pytest.mark.parametrize('name', ['yolo', 'voc'])
def test_a_part_whose_pictures_are_all_broken_is_not_dropped(roots, tmp_path, name):
    root = shutil.copytree(roots[name], tmp_path / 'set')
    for picture in [*root.rglob('val/*.jpg'), *root.rglob('val_*.jpg')]:
        picture.write_text('no picture')
    with pytest.raises(UserError, match="none of the 6 pictures of 'val' can be read"):
        begin(root, tmp_path / 'my_config.py')


@pytest.mark.parametrize('name', ['classes', 'yolo'])
def test_very_thin_pictures_are_drawn(roots, tmp_path, unproven, name):
    root = shutil.copytree(roots[name], tmp_path / 'set')
    thin = cv2.imencode('.jpg', np.zeros((2, 3000, 3), np.uint8))[1].tobytes()
    pictures = sorted(root.rglob('*.jpg'))
    for picture in pictures if name == 'classes' else pictures[:1]:  # a detector wants 32 px
        picture.write_bytes(thin)
    assert begin(root, tmp_path / 'my_config.py').page.is_file()


@pytest.mark.parametrize(
    ('kind', 'change', 'message'),
    [
        ('annotations', dict(bbox=['a', 1, 2, 3]), r"annotations\[0\].* bbox=\['a', 1, 2, 3\]"),
        ('images', dict(width='wide'), "width='wide'"),
        ('categories', dict(name=3), 'name=3'),
        ('annotations', dict(image_id=None), 'image_id=None'),
    ],
)
def test_values_of_another_kind_are_named(shapes, tmp_path, kind, change, message):
    root = layouts.coco(shapes, tmp_path / 'set')
    path = root / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    content[kind][0].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        begin(root, tmp_path / 'my_config.py')


def test_what_is_there_stays_but_for_force(roots, tmp_path, undrawn):
    out = tmp_path / 'my_config.py'
    (tmp_path / 'my_config_data').mkdir()
    (tmp_path / 'my_config_data/notes.txt').write_text('mine')
    with pytest.raises(UserError, match='my_config_data.*--force'):
        begin(roots['yolo'], out)
    assert not out.exists()
    begun = begin(roots['yolo'], out, force=True)
    assert {p.name for p in begun.page.parent.iterdir()} == {
        'notes.txt', 'overview.png', 'train.json', 'val.json'
    }  # fmt: skip
    with pytest.raises(UserError, match='my_config.py.*--force'):
        begin(roots['yolo'], out)


@pytest.mark.parametrize('name', ['voc', 'classes'])
def test_what_was_written_into_the_folder_is_no_data(roots, tmp_path, undrawn, name):
    root = shutil.copytree(roots[name], tmp_path / 'set')
    root = root / 'train' if name == 'classes' else root
    first = begin(root, root / 'my_config.py').lines[:3]
    assert begin(root, root / 'my_config.py', force=True).lines[:3] == first


def test_the_command_says_what_it_did(roots, tmp_path, undrawn, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([str(roots['yolo']), '-o', 'my_config.py'])
    said = capsys.readouterr().out
    for words in ('YOLO (data.yaml), 8 classes', 'train 12 pictures', 'recall', 'image size: 320'):
        assert words in said
    assert said.splitlines()[-1] == 'next: mmscale train my_config.py'
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / 'my_config_data'), '-o', 'other.py'])
    assert str(ended.value.code).startswith('error: ')
    assert '\n' not in str(ended.value.code)


SMALL = {
    'model.backbone.init_cfg': None,
    'model.neck.out_channels': 16,
    'model.rpn_head.in_channels': 16,
    'model.rpn_head.feat_channels': 16,
    'model.roi_head.bbox_roi_extractor.out_channels': 16,
    'model.roi_head.bbox_head.in_channels': 16,
    'model.roi_head.bbox_head.fc_out_channels': 32,
    'model.train_cfg.rpn_proposal.max_per_img': 60,
    'model.test_cfg.rpn.max_per_img': 60,
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 20,
    'train_dataloader.dataset.pipeline.2.scale': (128, 128),
    'val_dataloader.dataset.pipeline.1.scale': (128, 128),
    **loaders(),
}
MASKS = {
    'model.roi_head.mask_roi_extractor.out_channels': 16,
    'model.roi_head.mask_head.in_channels': 16,
    'model.roi_head.mask_head.conv_out_channels': 16,
}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['yolo', 'voc', 'roboflow_coco', 'datumaro'])
def test_from_a_folder_to_a_trained_detector(roots, tmp_path, name):
    begun = begin(roots[name], tmp_path / 'my_config.py')
    short = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}
    small = {**SMALL, **short, **(MASKS if name == 'datumaro' else {})}
    train(str(begun.config), work_dir=tmp_path / 'run', overrides=small)
    lines = scalars(tmp_path / 'run')
    assert any('coco/bbox_mAP' in line for line in lines)
    assert any('coco/segm_mAP' in line for line in lines) == (name == 'datumaro')
    assert (tmp_path / 'run/epoch_1.pth').is_file()
    assert len(mmscale.load(tmp_path / 'run').classes) == len(load_config(begun.config).classes)


@pytest.mark.slow
def test_from_class_folders_to_a_trained_classifier(roots, tmp_path):
    begun = begin(roots['classes'] / 'train', tmp_path / 'my_config.py')
    short = {'train_cfg.max_epochs': 1, 'model.init_cfg': None, **loaders()}
    train(str(begun.config), work_dir=tmp_path / 'run', overrides=short)
    assert any('accuracy/top1' in line for line in scalars(tmp_path / 'run'))
