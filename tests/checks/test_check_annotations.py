"""Each kind of mistake in an annotation file has a name; a clean file has none."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from annotation_files import HEIGHT, WIDTH, content, each, one, without, write
from PIL import Image
from pycocotools.mask import encode

from mmscale.checks import reading
from mmscale.checks.annotations import Use, check_content
from mmscale.checks.findings import NOTE, REPAIRED, settle
from mmscale.checks.reading import read_annotations
from mmscale.checks.repairs import repair
from mmscale.checks.targets import annotation_files, find_in_file, find_in_tree
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import load_config
from mmscale.errors import UserError


def box(change):
    return each('annotations', lambda a: a.update(bbox=change(*a['bbox'])))


def without_annotations(data):
    del data['annotations']


def repeated(kind, **new):
    def change(data):
        data[kind].append({**data[kind][0], **new})

    return change


def twin(name):
    def change(data):
        data['categories'].insert(0, dict(id=0, name=name))

    return change


def rle(size, counts):
    return one('annotations', segmentation=dict(size=size, counts=counts))


KINDS = [
    # the file
    ('file-no-json', lambda data: '{"images": ['),
    ('file-no-json', lambda data: ''),
    ('file-no-json', lambda data: '<html>not found</html>'),
    ('file-no-coco', lambda data: dict(images=data['images'])),
    ('file-no-coco', lambda data: '5'),
    ('file-no-coco', lambda data: data.update(annotations=None)),
    ('annotations-none', without_annotations),
    ('no-images', lambda data: data['images'].clear()),
    ('byte-order-mark', lambda data: '\ufeff' + json.dumps(data)),
    # entries
    ('images-no-object', lambda data: data['images'].insert(0, 7)),
    ('annotations-no-object', lambda data: data['annotations'].insert(2, None)),
    ('images-file_name-missing', without('images', 'file_name')),
    ('images-file_name-strange', one('images', file_name='')),
    ('images-width-strange', one('images', width=0)),
    ('images-height-strange', one('images', height='96')),
    ('images-width-missing', without('images', 'width')),
    ('images-id-missing', without('images', 'id')),
    ('categories-name-missing', without('categories', 'name')),
    ('categories-id-strange', one('categories', id=None)),
    ('annotations-bbox-strange', one('annotations', bbox=[1, 2, 3])),
    ('annotations-bbox-strange', one('annotations', bbox=[0, 0, float('nan'), 1])),
    ('annotations-bbox-strange', one('annotations', bbox=['1', '2', '3', '4'])),
    ('annotations-bbox-missing', without('annotations', 'bbox')),
    ('annotations-area-missing', without('annotations', 'area')),
    ('annotations-area-strange', one('annotations', area='big')),
    ('annotations-iscrowd-missing', without('annotations', 'iscrowd')),
    ('annotations-iscrowd-strange', one('annotations', iscrowd=2)),
    ('annotations-image_id-missing', without('annotations', 'image_id')),
    ('annotations-image_id-strange', one('annotations', image_id=1.5)),
    ('annotations-category_id-missing', without('annotations', 'category_id')),
    ('annotations-segmentation-missing', without('annotations', 'segmentation')),
    ('annotations-segmentation-strange', one('annotations', segmentation=[])),
    # ids and names
    ('annotation-id', each('annotations', lambda a: a.update(id=a['id'] - 1))),
    ('annotation-id', each('annotations', lambda a: a.update(id=f'x{a["id"]}'))),
    ('annotation-id', each('annotations', lambda a: a.update(id=a['id'] + 10**17))),
    ('image-id', lambda data: renumbered(data, lambda i: i + 10**17)),
    ('image-id', lambda data: renumbered(data, str)),
    ('image-id', lambda data: renumbered(data, lambda i: str(i) if i == 1 else i)),
    ('category-id', lambda data: categories(data, str)),
    ('category-id', lambda data: categories(data, lambda i: i + 10**17)),
    ('images-id-twice', repeated('images', file_name='2.png')),
    ('annotations-id-twice', repeated('annotations', bbox=[1, 1, 9, 9])),
    ('categories-id-twice', repeated('categories', name='d')),
    ('category-twice', one('categories', name='b')),
    ('category-twin-unused', twin('a')),
    ('category-unused', twin('none')),
    ('image-twice', repeated('images', id=99)),
    ('annotation-twice', repeated('annotations', id=99)),
    ('image-unknown', one('annotations', image_id=77)),
    ('category-unknown', one('annotations', category_id=77)),
    # boxes
    ('box-corners', box(lambda x, y, w, h: [x, y, x + w, y + h])),
    ('box-normalised', box(lambda x, y, w, h: [x / 128, y / 96, w / 128, h / 96])),
    ('box-empty', one('annotations', bbox=[3, 4, 0, 5])),
    ('box-empty', one('annotations', area=0)),
    ('box-negative', one('annotations', bbox=[60, 40, -20, -10])),
    ('box-outside', one('annotations', bbox=[500, 4, 10, 10])),
    ('box-leaving', one('annotations', bbox=[100, 4, 60, 10])),
    # nothing left
    ('nothing-to-learn', each('annotations', lambda a: a.update(iscrowd=1))),
    ('nothing-to-learn', each('annotations', lambda a: a.update(ignore=1))),
    ('nothing-to-learn', box(lambda x, y, w, h: [1000, y, w, h])),
    ('nothing-to-learn', box(lambda x, y, w, h: [x, y, 0, 0])),
    ('nothing-to-learn', lambda data: data['annotations'].clear()),
    ('ignored-evaluated', one('annotations', ignore=1)),
    # masks
    ('polygon-short', one('annotations', segmentation=[[1, 2, 30, 40]])),
    ('polygon-short', one('annotations', segmentation=[[5, 5]])),
    ('polygon-short', one('annotations', segmentation=[[]])),
    ('polygon-short', one('annotations', segmentation=[[1, 2, 3, 4, 5, 6, 7]])),
    ('polygon-level', one('annotations', segmentation=[1, 2, 30, 2, 30, 40])),
    ('polygon-strange', one('annotations', segmentation=[[1, 2, 3, 4, 5, float('inf')]])),
    ('polygon-strange', one('annotations', segmentation=[[1, 2, 3, 4, 5, 'x']])),
    ('polygon-strange', one('annotations', segmentation=['mask.png'])),
    ('rle-size', rle([WIDTH, HEIGHT], [0, WIDTH * HEIGHT])),
    ('rle-counts', rle([HEIGHT, WIDTH], [0, 5])),
    ('rle-counts', rle([HEIGHT, WIDTH], 'abc')),
    ('rle-counts', rle([HEIGHT, WIDTH], '')),
    ('rle-counts', rle([HEIGHT, WIDTH], 'o' * 50)),
    ('rle-counts', rle([HEIGHT, WIDTH], '\u00ff')),
    ('mask-strange', one('annotations', segmentation='mask.png')),
    ('mask-strange', one('annotations', segmentation=dict(counts=[1]))),
    # pictures
    ('picture-missing', one('images', file_name='none.png')),
    ('path-absolute', one('images', file_name='/home/me/none.png')),
    ('backslashes', each('images', lambda i: i.update(file_name=f'..\\val\\{i["file_name"]}'))),
    ('picture-size', each('images', lambda i: i.update(width=HEIGHT, height=WIDTH))),
]


def renumbered(data, new):
    for image in data['images']:
        image['id'] = new(image['id'])
    for annotation in data['annotations']:
        annotation['image_id'] = new(annotation['image_id'])


def categories(data, new):
    for category in data['categories']:
        category['id'] = new(category['id'])
    for annotation in data['annotations']:
        annotation['category_id'] = new(annotation['category_id'])


@pytest.mark.parametrize(
    ('kind', 'change'), KINDS, ids=[f'{i}-{kind}' for i, (kind, _) in enumerate(KINDS)]
)
def test_each_kind_is_named(tmp_path, kind, change):
    path = write(tmp_path, change)
    found = {finding.kind: finding for finding in find_in_file(path)}
    assert kind in found
    text = str(found[kind])
    assert str(path) in text or str(tmp_path / 'val') in text
    assert len(text) < 700


def test_there_are_many_kinds():
    assert len({kind for kind, _ in KINDS}) >= 50


def test_a_clean_file_has_none(tmp_path):
    assert list(find_in_file(write(tmp_path), deep=True)) == []


def test_a_file_that_the_system_does_not_give(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(reading, '_parsed', fail)
    (found,) = find_in_file(write(tmp_path))
    assert found.kind == 'file-unreadable'
    assert 'Input/output error' in str(found)


def test_pictures_that_are_not_near(tmp_path):
    path = write(tmp_path)
    shutil.move(tmp_path / 'val', tmp_path.with_name('elsewhere'))
    (found,) = find_in_file(path)
    assert (found.severity, found.kind) == (NOTE, 'pictures-elsewhere')
    assert list(find_in_file(path, folder=tmp_path.with_name('elsewhere'))) == []


def test_other_json_files_of_a_folder_are_named(tmp_path):
    write(tmp_path)
    for name in ('captions_val.json', 'package.json', 'labels.json'):
        (tmp_path / name).write_text('{"version": 1}')
    (found,) = find_in_tree(tmp_path)
    assert (found.severity, found.kind) == (NOTE, 'annotations-other')
    assert '2 .json files' in str(found)
    assert "'labels.json', 'package.json'" in str(found)


def test_captions_of_any_name_are_no_fault_of_a_folder(tmp_path):
    path = write(tmp_path)
    texts = {**json.loads(path.read_text()), 'annotations': [dict(id=1, image_id=1, caption='a')]}
    del texts['categories']
    (tmp_path / 'texts.json').write_text(json.dumps(texts))
    (found,) = find_in_tree(tmp_path)
    assert (found.severity, found.kind) == (NOTE, 'annotations-other')
    assert "'texts.json'" in str(found)


def test_a_set_to_be_evaluated_needs_objects():
    data = content()
    use = Use(Path('x.json'), trained=False)
    assert list(check_content(data, use)) == []
    each('annotations', lambda a: a.update(iscrowd=1))(data)
    assert [found.kind for found in check_content(data, use)] == ['nothing-to-find']


@pytest.mark.parametrize('name', ['val.json', 'image_info_test-dev2017.json'])
def test_a_file_without_annotations_can_be_tested_on(tmp_path, name):
    path = write(tmp_path, without_annotations)
    path = path.rename(path.with_name(name))
    for found in (find_in_file(path, deep=True), find_in_tree(tmp_path)):
        (found,) = found
        assert (found.severity, found.kind) == (NOTE, 'annotations-none')
        assert 'tested on, not trained' in str(found)
        assert 'format_only=True' in str(found)
    (tmp_path / 'val' / '2.png').write_bytes(b'')
    assert [found.kind for found in find_in_file(path)] == ['annotations-none', 'picture-empty']
    with pytest.raises(UserError, match='tested on, not trained'):
        settle([read_annotations(path, tmp_path)[1]])


@pytest.mark.parametrize('name', ['a' * 5000, 'sub/', '.', '..', '/', '2.png/', 'x\0y', '../..'])
def test_names_that_no_file_can_have(tmp_path, name):
    path = write(tmp_path, one('images', file_name=name))
    found = {finding.kind for finding in find_in_file(path)}
    assert found & {'picture-missing', 'picture-no-file'}


def drawn(folder, data, suffix='.jpg'):
    """Give the pictures of a content names and files as an exporter does."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for image in data['images']:
        image['file_name'] = Path(image['file_name']).stem + suffix
        pixels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / image['file_name'])


def roboflow(root):
    """Its layout: pictures beside the file, ids from 0, a root category without objects."""
    for part in ('train', 'valid', 'test'):
        data = content()
        drawn(root / part, data, f'_png.rf.{part}0123456789abcdef.jpg')
        data['categories'] = [dict(id=0, name='things', supercategory='none')] + [
            dict(c, supercategory='things') for c in data['categories']
        ]
        renumbered(data, lambda i: i - 1)
        for annotation in data['annotations']:
            annotation.update(id=annotation['id'] - 1, segmentation=[])
        for image in data['images']:
            image.update(license=1, date_captured='2024-01-01T00:00:00+00:00', extra={'name': 'x'})
        info = dict(year='2024', version='1', description='', contributor='', url='')
        licences = [dict(id=1, url='', name='CC BY 4.0')]
        whole = dict(info=info, licenses=licences, **dict(sorted(data.items())))
        (root / part / '_annotations.coco.json').write_text(json.dumps(whole))
    (root / 'README.dataset.txt').write_text('things')


def datumaro(root, pictures='images/{}'):
    """Its layout, and CVAT's: annotations/instances_X.json, images/X, attributes, crowds as RLE."""
    (root / 'annotations').mkdir()
    for part in ('train', 'val'):
        data = content()
        drawn(root / pictures.format(part), data)
        for annotation in data['annotations']:
            annotation['attributes'] = dict(occluded=False, rotation=0.0)
        runs = [0, WIDTH * HEIGHT]
        data['annotations'][0].update(
            iscrowd=1, segmentation=dict(counts=runs, size=[HEIGHT, WIDTH])
        )
        for image in data['images']:
            image.update(license=0, flickr_url='', coco_url='', date_captured=0)
        for category in data['categories']:
            category['supercategory'] = ''
        licences = [dict(name='', id=0, url='')]
        whole = dict(licenses=licences, info=dict(contributor='', year=''), **data)
        path = root / 'annotations' / f'instances_{part}.json'
        path.write_text(json.dumps(whole))


def cvat(root):
    """Another layout of CVAT's: the pictures of all parts in one folder."""
    datumaro(root, 'images')


@pytest.mark.parametrize('export', [roboflow, datumaro, cvat])
def test_exporters_layouts_are_clean(tmp_path, export):
    export(tmp_path)
    found = list(find_in_tree(tmp_path, deep=True))
    named = {'annotation-id': REPAIRED, 'category-unused': NOTE} if export is roboflow else {}
    assert {finding.kind: finding.severity for finding in found} == named
    broken = next(tmp_path.rglob('1*.jpg'))
    broken.write_bytes(b'')
    assert 'picture-empty' in {
        finding.kind for finding in find_in_tree(tmp_path)
    }  # it was looked at


def test_the_shapes_are_clean(shapes):
    assert [f for f in find_in_tree(shapes, deep=True) if f.severity != NOTE] == []


def test_coco_is_clean(coco_root):
    """Of the whole of COCO the smaller files: the largest alone takes a minute."""
    paths = [path for path in annotation_files(coco_root) if path.stat().st_size < 1e8]
    found = [finding for path in paths for finding in find_in_file(path)]
    assert paths
    assert [finding for finding in found if finding.severity != NOTE] == []
    for name in ('rexnet/faster-rcnn_rexnet-100_fpn_1x_coco', 'mask_rcnn_scalenet_fpn'):
        found = find_in_run(load_config(name), ('val', 'test'))
        assert [finding for finding in found if finding.severity != NOTE] == []


def test_corners_well_inside_their_pictures():
    """None leaves its picture, but the areas are those of other boxes."""
    data = content()
    for i, annotation in enumerate(data['annotations']):
        annotation.update(bbox=[9 + i, 8, 39 + i, 40], area=30 * 32)
    found = [finding.kind for finding in check_content(data, Use(Path('x.json')))]
    assert found == ['box-corners']


@pytest.mark.parametrize('drawn', range(20))
def test_run_lengths_that_pycocotools_writes_are_right(drawn):
    rng = np.random.default_rng(drawn)
    mask = np.asfortranarray(rng.random((HEIGHT, WIDTH)) < rng.random() ** 4, dtype=np.uint8)
    counts = encode(mask)['counts'].decode()
    data = content()
    data['annotations'][0]['segmentation'] = dict(size=[HEIGHT, WIDTH], counts=counts)
    use = Use(Path('x.json'), masks=True)
    assert list(check_content(data, use)) == []
    data['annotations'][0]['segmentation']['counts'] = counts[:-1]
    assert [finding.kind for finding in check_content(data, use)] == ['rle-counts']


def test_categories_without_a_name_are_no_twins(tmp_path):
    path = tmp_path / 'a.json'
    given = dict(images=[], annotations=[dict(category_id=1)], categories=[dict(id=1), dict(id=2)])
    path.write_text(json.dumps(given))
    kinds = {finding.kind for finding in repair(given, path, None)}
    assert 'category-twin-unused' not in kinds
    assert len(given['categories']) == 2
