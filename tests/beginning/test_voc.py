"""Pascal VOC's files: the devkit's layout, and beside the pictures."""

import shutil

import layouts
import pytest

from mmscale.beginning.layouts import read_folder
from mmscale.errors import UserError


@pytest.fixture
def devkit(shapes, tmp_path):
    return layouts.voc(shapes, tmp_path / 'VOCdevkit/VOC2012')


def sorted_boxes(content):
    names = {c['id']: c['name'] for c in content['categories']}
    return sorted((names[a['category_id']], *a['bbox']) for a in content['annotations'])


def test_boxes_and_lists(shapes, devkit):
    found = read_folder(devkit.parent)  # and all is in one folder in it
    assert found.root == devkit
    assert found.notes == []
    for split, part in found.parts.items():
        truth = layouts.read(shapes, split)
        assert len(part.content['images']) == len(truth['images'])
        assert sorted_boxes(part.content) == [
            pytest.approx(row, abs=0.02) for row in sorted_boxes(truth)
        ]


def test_without_lists_nothing_is_validated_yet(devkit):
    shutil.rmtree(devkit / 'ImageSets')
    assert {s: len(p.content['images']) for s, p in read_folder(devkit).parts.items()} == {
        'train': 18
    }


def test_lists_of_a_class_have_numbers_behind_the_names(devkit):
    path = devkit / 'ImageSets/Main/val.txt'
    path.write_text(
        ''.join(
            f'{name}  {1 - 2 * (i % 2):2d}\n' for i, name in enumerate(path.read_text().split())
        )
    )
    assert len(read_folder(devkit).parts['val'].content['images']) == 6


def test_files_beside_the_pictures(devkit, tmp_path):
    for split, named in (('train', 'train'), ('val', 'valid')):
        (tmp_path / f'beside/{named}').mkdir(parents=True)
        for name in (devkit / f'ImageSets/Main/{split}.txt').read_text().split():
            for path in (devkit / f'Annotations/{name}.xml', devkit / f'JPEGImages/{name}.jpg'):
                shutil.copy(path, tmp_path / f'beside/{named}')
    found = read_folder(tmp_path / 'beside')
    assert {s: len(p.content['images']) for s, p in found.parts.items()} == dict(train=12, val=6)


@pytest.fixture
def first(devkit):
    return min((devkit / 'Annotations').glob('train*.xml'))


def rewrite(path, *objects):
    path.write_text(f'<annotation>{"".join(objects)}</annotation>')


def test_difficult_objects_are_neither_learned_nor_counted(devkit, first):
    rewrite(first, layouts.voc_object('ring', (10, 20, 30, 40), difficult=1))
    found = read_folder(devkit)
    crowds = [a for a in found.parts['train'].content['annotations'] if a['iscrowd']]
    assert [a['bbox'] for a in crowds] == [[10, 20, 30, 40]]
    assert '1 difficult object' in found.notes[-1]


@pytest.mark.parametrize(
    ('text', 'note'),
    [
        ('<annotation><object>', 'no XML (ParseError'),
        ('<annotation><object><name>ring</name></object></annotation>', 'without a name or a box'),
        (
            '<annotation><size><width>640</width><height>480</height></size></annotation>',
            'another size',
        ),
    ],
)
def test_files_that_are_not_as_they_should_be_are_said(devkit, first, text, note):
    first.write_text(text)
    found = read_folder(devkit)
    assert note in found.notes[0]
    assert first.name in found.notes[0]


def test_a_picture_or_a_file_that_is_missing_is_said(devkit, first):
    (devkit / f'JPEGImages/{first.stem}.jpg').unlink()
    with open(devkit / 'ImageSets/Main/val.txt', 'a') as file:
        file.write('gone\n')
    notes = '\n'.join(read_folder(devkit).notes)
    assert "without a picture of its name, left out: 'train_" in notes
    assert "without an .xml file, left out: 'gone'" in notes


def test_a_part_whose_files_are_all_no_xml_is_not_dropped(devkit):
    for file in (devkit / 'Annotations').glob('val_*.xml'):
        file.write_text('<annotation>')
    with pytest.raises(UserError, match=r"none of the 6 \.xml files of 'val' can be read"):
        read_folder(devkit)


def test_a_file_that_is_no_xml_takes_its_picture_with_it(devkit, first):
    before = read_folder(devkit).parts['train'].content['images']
    first.write_text('<annotation><object>')
    after = read_folder(devkit).parts['train'].content['images']
    assert len(after) == len(before) - 1
    assert not any(first.stem in image['file_name'] for image in after)


def test_pictures_without_a_file_are_said(devkit, first):
    shutil.rmtree(devkit / 'ImageSets')
    first.unlink()
    assert f"1 picture without an .xml file, left out: '{first.stem}.jpg'" in '\n'.join(
        read_folder(devkit).notes
    )


def test_without_pictures_it_is_refused(devkit):
    shutil.rmtree(devkit / 'JPEGImages')
    with pytest.raises(UserError, match='no JPEGImages'):
        read_folder(devkit)


def test_a_namespace_is_passed_over(devkit, first):
    before = read_folder(devkit)
    first.write_text(
        first.read_text().replace('<annotation>', '<annotation xmlns="http://a/b">', 1)
    )
    assert read_folder(devkit).parts['train'].content == before.parts['train'].content
