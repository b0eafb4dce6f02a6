"""Data sets as other programs write them: supervision and Datumaro, of real pictures.

Neither is asked for by this package: the tests are skipped without them.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

from mmscale.beginning.layouts import read_folder

SPLITS = {'train': 'train', 'val': 'valid'}


@pytest.fixture(scope='module')
def sets(coco_root):
    """Real pictures with boxes, as supervision reads them, by split."""
    supervision = pytest.importorskip('supervision')
    found = {}
    for split in SPLITS:
        file = coco_root / f'annotations/instances_{split}2017.json'
        found[split] = supervision.DetectionDataset.from_coco(
            str(coco_root / f'{split}2017'), str(file)
        )
    return found


@pytest.fixture(scope='module')
def boxes(sets):
    """The same without outlines."""
    for dataset in sets.values():
        for detections in dataset.annotations.values():
            detections.mask = None
    return sets


def assert_same(part, dataset, classes, pixels):
    """Every box of every picture, by its class."""
    content = part.content
    names = {category['id']: category['name'] for category in content['categories']}
    pictures = {image['id']: Path(image['file_name']).name for image in content['images']}
    found = sorted(
        (pictures[a['image_id']], names[a['category_id']], *np.round(a['bbox'], 2))
        for a in content['annotations']
    )
    truth = []
    for path, detections in dataset.annotations.items():
        for (x1, y1, x2, y2), label in zip(detections.xyxy, detections.class_id):
            truth.append((Path(path).name, classes[label], x1, y1, x2 - x1, y2 - y1))
    truth.sort()
    assert len(found) == len(truth) > 300
    for one, other in zip(found, truth):
        assert one[:2] == other[:2]
    values = [np.array([row[2:] for row in rows], float) for rows in (found, truth)]
    # Neighbours in the order may be exchanged by rounding, so the sums of a picture are compared.
    assert np.abs(values[0].sum(0) - values[1].sum(0)).max() / len(truth) < pixels
    assert len(content['images']) == len(dataset.image_paths)


def test_yolo_by_supervision(boxes, tmp_path):
    for split, named in SPLITS.items():
        boxes[split].as_yolo(
            images_directory_path=str(tmp_path / named / 'images'),
            annotations_directory_path=str(tmp_path / named / 'labels'),
            data_yaml_path=str(tmp_path / 'data.yaml'),
        )
    text = yaml.safe_load((tmp_path / 'data.yaml').read_text())
    text.update(train='../train/images', val='../valid/images')
    (tmp_path / 'data.yaml').write_text(yaml.safe_dump(text))
    found = read_folder(tmp_path)
    assert found.classes == tuple(boxes['train'].classes)
    for split, part in found.parts.items():
        assert_same(part, boxes[split], boxes[split].classes, 0.05)


def test_voc_by_supervision(boxes, tmp_path):
    (tmp_path / 'ImageSets/Main').mkdir(parents=True)
    for split, dataset in boxes.items():
        dataset.as_pascal_voc(
            images_directory_path=str(tmp_path / 'JPEGImages'),
            annotations_directory_path=str(tmp_path / 'Annotations'),
        )
        names = [Path(path).stem for path in dataset.image_paths]
        (tmp_path / f'ImageSets/Main/{split}.txt').write_text('\n'.join(names))
    found = read_folder(tmp_path)
    for split, part in found.parts.items():
        assert_same(part, boxes[split], boxes[split].classes, 1)  # whole pixels are written


def test_coco_by_supervision(boxes, tmp_path):
    for split, named in SPLITS.items():
        boxes[split].as_coco(
            images_directory_path=str(tmp_path / named),
            annotations_path=str(tmp_path / named / '_annotations.coco.json'),
        )
    found = read_folder(tmp_path)
    assert found.layout.startswith('COCO by Roboflow')
    for split, part in found.parts.items():
        assert_same(part, boxes[split], boxes[split].classes, 0.05)


def test_coco_by_datumaro(coco_root, tmp_path):
    datumaro = pytest.importorskip('datumaro')
    (tmp_path / 'in/images').mkdir(parents=True)
    (tmp_path / 'in/annotations').symlink_to(coco_root / 'annotations')
    for split in SPLITS:
        (tmp_path / f'in/images/{split}2017').symlink_to(coco_root / f'{split}2017')
    dataset = datumaro.Dataset.import_from(str(tmp_path / 'in'), 'coco_instances')
    dataset.export(str(tmp_path / 'out'), 'coco_instances', save_media=True)
    found = read_folder(tmp_path / 'out')
    assert {len(part.content['images']) for part in found.parts.values()} == {50}
    assert sum(len(part.content['annotations']) for part in found.parts.values()) > 800
    assert all(part.file for part in found.parts.values())
