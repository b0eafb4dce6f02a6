"""What a folder is, and what is said of one that is nothing, or several things."""

import json
import re
import shutil

import layouts
import pytest
from commands import tool

from mmscale.beginning.layouts import CONVERTED, layouts_of, read_folder, set_around
from mmscale.errors import UserError


@pytest.mark.parametrize(
    ('name', 'layout'),
    [
        ('coco', 'COCO ('),
        ('datumaro', 'COCO ('),
        ('roboflow_coco', 'COCO by Roboflow ('),
        ('yolo', 'YOLO (data.yaml)'),
        ('voc', 'Pascal VOC (Annotations/*.xml)'),
        ('classes', 'class folders (train/circle, ...)'),
    ],
)
def test_layouts_are_told(shapes, tmp_path, name, layout):
    found = read_folder(getattr(layouts, name)(shapes, tmp_path / 'set'))
    assert found.layout.startswith(layout)
    assert list(found.parts) == ['train', 'val']
    assert len(found.classes) == 8  # without the one that Roboflow puts in front


@pytest.mark.parametrize(
    ('name', 'layout'), [('yolo', 'YOLO (data.yaml)'), ('voc', 'Pascal VOC (Annotations/*.xml)')]
)
def test_check_says_what_has_to_be_converted(shapes, tmp_path, capsys, name, layout):
    root = getattr(layouts, name)(shapes, tmp_path / 'a set')
    with pytest.raises(SystemExit) as ended:
        tool('check')([str(root)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert layout in said
    assert f"mmscale new '{root}' -o" in said


def test_check_of_vocs_annotations_alone_names_the_folder_above(shapes, tmp_path, capsys):
    root = layouts.voc(shapes, tmp_path / 'set')
    with pytest.raises(SystemExit):
        tool('check')([str(root / 'Annotations')])
    assert f'mmscale new {root} -o' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'part', 'message'),
    [
        ('coco', 'train', 'is a part of COCO'),
        ('coco', 'annotations/instances_train.json', 'is a file: give the folder of the set'),
        ('yolo', 'data.yaml', 'is a file: give the folder of the set'),
        ('yolo', 'labels/train', r'is a part of YOLO \(data.yaml\)'),
    ],
)
def test_new_of_a_part_names_the_folder_of_all(shapes, tmp_path, name, part, message):
    root = getattr(layouts, name)(shapes, tmp_path / 'set').resolve()
    with pytest.raises(UserError, match=f'{message}.*{re.escape(repr(str(root)))}$'):
        read_folder(root / part)


def test_one_part_of_class_folders_says_what_it_leaves_out(shapes, tmp_path):
    root = layouts.classes(shapes, tmp_path / 'set')
    (note,) = read_folder(root / 'train').notes
    assert note.startswith("'val' beside it")


@pytest.mark.parametrize(
    ('name', 'part'),
    [
        ('yolo', 'labels'),
        ('yolo', 'labels/train'),
        ('yolo', 'images'),
        ('yolo', 'data.yaml'),
        ('voc', 'Annotations'),
        ('voc', 'JPEGImages'),
    ],
)
def test_a_part_of_a_set_names_the_folder_of_all(shapes, tmp_path, capsys, name, part):
    root = getattr(layouts, name)(shapes, tmp_path / 'set').resolve()
    with pytest.raises(SystemExit) as ended:
        tool('check')([str(root / part), '--json'])
    assert ended.value.code == 2
    assert f'mmscale new {root} -o' in json.loads(capsys.readouterr().out)['reason']
    if (root / part).is_dir():
        with pytest.raises(UserError, match=re.escape(repr(str(root)))):
            read_folder(root / part)


def test_a_part_of_roboflows_set_names_the_folder_of_data_yaml(shapes, tmp_path):
    root = layouts.yolo(shapes, tmp_path / 'set', roboflow=True)
    assert set_around(root / 'train/labels') == (root.resolve(), 'YOLO (data.yaml)')


def kinds_of(root, capsys):
    """What `mmscale check` finds in a folder that it can read, by kind."""
    tool('check')([str(root), '--json'])
    said = json.loads(capsys.readouterr().out)
    return {found['kind']: found for found in (*said['findings'], *said['notes'])}


@pytest.mark.parametrize('name', ['coco', 'datumaro', 'roboflow_coco', 'classes'])
def test_check_reads_what_it_knows(shapes, tmp_path, capsys, name):
    root = getattr(layouts, name)(shapes, tmp_path / 'images')  # a name that YOLO's sets have
    (tmp_path / 'mkdocs.yml').write_text('names: !!python/name:len')
    assert not set(layouts_of(root)) & set(CONVERTED)
    assert set_around(root) is None
    assert 'layout-other' not in kinds_of(root, capsys)


def test_labels_of_another_layout_beside_coco_are_told(shapes, tmp_path, capsys):
    root = layouts.coco(shapes, tmp_path / 'set')
    layouts.yolo(shapes, tmp_path / 'other')
    shutil.copytree(tmp_path / 'other', root, dirs_exist_ok=True)
    found = kinds_of(root, capsys)['layout-other']
    assert found['severity'] == 'note'
    assert 'YOLO (data.yaml)' in found['text']
    assert '--layout yolo' in found['remedy']


@pytest.mark.parametrize('name', ['coco', 'datumaro', 'roboflow_coco'])
def test_files_that_are_as_they_should_be_are_not_copied(shapes, tmp_path, name):
    found = read_folder(getattr(layouts, name)(shapes, tmp_path / 'set'))
    assert all(part.file and part.file.is_file() for part in found.parts.values())
    for part in found.parts.values():
        assert all((part.folder / i['file_name']).is_file() for i in part.content['images'])


def test_what_exporters_leave_out_is_written(shapes, tmp_path):
    root = layouts.coco(shapes, tmp_path)
    path = root / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        del annotation['area'], annotation['iscrowd']
    del content['images'][0]['width']
    path.write_text(json.dumps(content))
    part = read_folder(root).parts['train']
    assert part.file is None
    assert part.content['images'][0]['width'] == 320
    assert all(a['area'] == a['bbox'][2] * a['bbox'][3] for a in part.content['annotations'])


def test_two_files_for_one_part(shapes, tmp_path):
    root = layouts.coco(shapes, tmp_path)
    file = root / 'annotations/instances_train.json'
    shutil.copy(file, file.with_name('person_keypoints_train.json'))
    assert read_folder(root).parts['train'].file == file
    shutil.copy(file, file.with_name('instances_train2.json'))
    with pytest.raises(UserError, match='several annotation files for train'):
        read_folder(root)


def test_pictures_that_are_nowhere(shapes, tmp_path):
    root = layouts.coco(shapes, tmp_path)
    for split in ('train', 'val'):  # whose pictures have the same names
        shutil.rmtree(root / split)
    with pytest.raises(UserError, match='none of its pictures'):
        read_folder(root)


def test_no_pictures_at_all(shapes, tmp_path):
    path = layouts.coco(shapes, tmp_path) / 'annotations/instances_train.json'
    path.write_text(json.dumps(dict(images=[], annotations=[], categories=[])))
    with pytest.raises(UserError, match=r'instances_train.json.*list of images is empty'):
        read_folder(tmp_path)


def test_several_layouts_want_a_word(shapes, tmp_path):
    layouts.yolo(shapes, tmp_path)
    layouts.coco(shapes, tmp_path)
    with pytest.raises(UserError, match='--layout coco or --layout yolo'):
        read_folder(tmp_path)
    assert read_folder(tmp_path, 'yolo').layout == 'YOLO (data.yaml)'
    with pytest.raises(UserError, match='Expected: Pascal VOC'):
        read_folder(tmp_path, 'voc')


def test_a_set_beside_a_folder_is_not_around_it(shapes, tmp_path):
    layouts.coco(shapes, tmp_path / 'a')
    layouts.yolo(shapes, tmp_path / 'b')
    shutil.copytree(shapes / 'train', tmp_path / 'train/images')
    with pytest.raises(UserError, match='is no data set that is known'):
        read_folder(tmp_path / 'train')
    assert set_around(tmp_path / 'images') is None


def test_folders_that_are_none(shapes, tmp_path):
    with pytest.raises(UserError, match='there is no folder'):
        read_folder(tmp_path / 'gone')
    with pytest.raises(UserError, match='it has no files. Expected: COCO'):
        read_folder(tmp_path)
    shutil.copytree(shapes / 'train', tmp_path / 'images/train')
    with pytest.raises(UserError, match=r'it has 12 \.jpg in images. Expected: COCO') as error:
        read_folder(tmp_path)
    assert '\n' not in str(error.value)


def test_one_class_is_not_enough(shapes, tmp_path):
    shutil.copytree(shapes / 'classes/train/heart', tmp_path / 'set/only one')
    with pytest.raises(UserError, match="in one folder alone, 'only one': a classifier needs two"):
        read_folder(tmp_path / 'set')


def test_empty_class_folders_are_said_to_be_left_out(shapes, tmp_path):
    root = layouts.classes(shapes, tmp_path / 'set')
    (root / 'train/club').mkdir()
    found = read_folder(root)
    assert found.notes == ["class folders without pictures are left out: 'club'"]
    assert 'club' not in found.classes


def test_pictures_that_are_missing_are_left_out(shapes, tmp_path):
    root = layouts.coco(shapes, tmp_path)
    before = read_folder(root).parts['train'].content
    gone = before['images'][0]
    (root / 'train' / gone['file_name']).unlink()
    found = read_folder(root)
    part = found.parts['train']
    assert part.file is None
    assert len(part.content['images']) == len(before['images']) - 1
    assert {a['image_id'] for a in part.content['annotations']} == {
        a['image_id'] for a in before['annotations']
    } - {gone['id']}
    assert found.notes == [f"1 picture missing, left out: '{gone['file_name']}'"]


def test_class_folders(shapes, tmp_path):
    root = layouts.classes(shapes, tmp_path / 'set')
    found = read_folder(root)
    assert found.folders == dict(train='train', val='val')
    assert [len(part) for part in found.parts.values()] == [32, 16]
    shutil.rmtree(root / 'val/heart')  # then its folders would be numbered otherwise
    found = read_folder(root)
    assert found.folders == dict(train='train')
    assert {label for _, label in found.parts['val']} == set(range(8)) - {3}
    shutil.copytree(root / 'train/heart', root / 'val/club')
    with pytest.raises(UserError, match=r"\['club'\]"):
        read_folder(root)


def test_only_a_test_set(shapes, tmp_path):
    root = layouts.classes(shapes, tmp_path / 'set')
    shutil.rmtree(root / 'train')
    with pytest.raises(UserError, match='nothing to train on'):
        read_folder(root)
