"""The public layouts of data sets, written by hand from one in COCO's format."""

import json
import shutil
from pathlib import Path
from xml.sax.saxutils import escape


def read(shapes, split, most=None):
    """Content of the shapes' file, of the first pictures alone."""
    content = json.loads((shapes / f'annotations/instances_{split}.json').read_text())
    content['images'] = content['images'][:most]
    ids = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in ids]
    return content


def boxes_of(content, image):
    """Class (from 0) and box of what is in a picture."""
    order = {c['id']: i for i, c in enumerate(content['categories'])}
    inside = [a for a in content['annotations'] if a['image_id'] == image['id']]
    return [(order[a['category_id']], a['bbox']) for a in inside]


def names_of(content):
    return [category['name'] for category in content['categories']]


def copy(shapes, split, image, folder):
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(shapes / split / image['file_name'], folder))


def yolo_lines(content, image, outlines=False):
    size = image['width'], image['height']
    for label, (x, y, w, h) in boxes_of(content, image):
        values = [(x + w / 2) / size[0], (y + h / 2) / size[1], w / size[0], h / size[1]]
        if outlines:
            values = [x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2]
            values = [value / size[i % 2] for i, value in enumerate([*values, *values[:2]])]
        yield ' '.join([str(label), *(f'{value:.6f}' for value in values)])


def yolo(shapes, root, *, roboflow=False, outlines=False, splits=('train', 'val')):
    """Ultralytics' layout, or Roboflow's."""
    text = ''
    for split in splits:
        content = read(shapes, split)
        named = 'valid' if roboflow and split == 'val' else split
        places = {
            k: root / (f'{named}/{k}' if roboflow else f'{k}/{named}') for k in ('images', 'labels')
        }
        places['labels'].mkdir(parents=True)
        for image in content['images']:
            picture = copy(shapes, split, image, places['images'])
            label = places['labels'] / f'{picture.stem}.txt'
            label.write_text('\n'.join(yolo_lines(content, image, outlines)) + '\n')
        folder = places['images'].relative_to(root).as_posix()
        text += f'{split}: {"../" if roboflow else ""}{folder}\n'
    (root / 'data.yaml').write_text(f'{text}nc: 8\nnames: {names_of(content)}\n')
    return root


def voc_object(name, box, difficult=0):
    x, y, w, h = box
    corners = zip(('xmin', 'ymin', 'xmax', 'ymax'), (x + 1, y + 1, x + w, y + h))
    inner = ''.join(f'<{key}>{value}</{key}>' for key, value in corners)
    return (
        f'<object><name>{escape(name)}</name><difficult>{difficult}</difficult>'
        f'<bndbox>{inner}</bndbox></object>'
    )


def voc(shapes, root, splits=('train', 'val')):
    """The devkit's layout."""
    for folder in ('Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    for split in splits:
        content = read(shapes, split)
        names = names_of(content)
        listed = []
        for image in content['images']:
            picture = copy(shapes, split, image, root / 'JPEGImages')
            picture = picture.rename(picture.with_stem(f'{split}_{picture.stem}'))
            objects = [voc_object(names[label], box) for label, box in boxes_of(content, image)]
            size = f'<size><width>{image["width"]}</width><height>{image["height"]}</height></size>'
            text = f'<annotation>{size}{"".join(objects)}</annotation>'
            (root / f'Annotations/{picture.stem}.xml').write_text(text)
            listed.append(picture.stem)
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(listed) + '\n')
    return root


def roboflow_coco(shapes, root):
    """Roboflow's export: a category for the whole set in front, ids from 0."""
    for split, named in (('train', 'train'), ('val', 'valid')):
        content = read(shapes, split)
        for category in content['categories']:
            category['supercategory'] = 'shapes'
        content['categories'].insert(0, dict(id=0, name='shapes', supercategory='none'))
        for annotation in content['annotations']:
            annotation['id'] -= 1
            annotation['segmentation'] = []
        for image in content['images']:
            copy(shapes, split, image, root / named)
        (root / named / '_annotations.coco.json').write_text(json.dumps(content))
    return root


def coco(shapes, root):
    """COCO's own layout."""
    (root / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        content = read(shapes, split)
        for image in content['images']:
            copy(shapes, split, image, root / split)
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(content))
    return root


def real_coco(shapes, root):
    """COCO's own files and classes, of four pictures and two: shapes under other names."""
    from mmdet.datasets import CocoDataset

    (root / 'annotations').mkdir(parents=True)
    categories = [dict(id=k + 1, name=n) for k, n in enumerate(CocoDataset.METAINFO['classes'])]
    for split, most in (('train', 4), ('val', 2)):
        content = dict(read(shapes, split, most), categories=categories)
        for image in content['images']:
            copy(shapes, split, image, root / f'{split}2017')
        (root / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
    return root


def datumaro(shapes, root):
    """Datumaro's COCO: pictures in a folder for each part of images."""
    coco(shapes, root)
    for split in ('train', 'val'):
        (root / 'images').mkdir(exist_ok=True)
        (root / split).rename(root / 'images' / split)
    return root


def classes(shapes, root):
    """A folder for each class."""
    shutil.copytree(shapes / 'classes', root)
    return root
