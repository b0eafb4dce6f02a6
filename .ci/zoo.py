"""Write the metafiles of the configs: the README's counts and the authors' published figures.

    python .ci/zoo.py

`mim search`, mmpretrain's `list_models`, `get_model` and `inference_model` by name, and mmengine's
`get_config` read them. A test holds them against the README's table.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tests/helpers'))

from readme import config_name, readme_table  # noqa: E402

FOLDERS = ('classification', 'rexnet', 'scalenet', 'san')
PUBLISHED = "the authors' claim; nobody has reproduced it here"
ACCURACY = 'published: top-1 %'
BOX_AP = 'published: Faster R-CNN box AP'
MASK_AP = 'published: Mask R-CNN box / mask AP'
CLASSIFIER = 'counted: classifier M / G'
DETECTOR = 'counted: detector M / G, of it backbone M / G'
# Of the authors' paper, at 224 px; SAN is in no row of the table.
SAN_ACCURACY = {'san-mobilenet-v2': 72.86}


def main() -> None:
    """Write a metafile into every folder of configs that stand for a published network."""
    for folder in FOLDERS:
        (ROOT / f'configs/{folder}/metafile.yml').write_text(metafile(folder), encoding='utf-8')


def metafile(folder: str) -> str:
    """The text of a folder's metafile."""
    paths = sorted((ROOT / 'configs' / folder).glob('*.py'))
    models = [model(path) for path in paths if 'overfit' not in path.name]
    head = '# Written by .ci/zoo.py.\n'
    return head + yaml.safe_dump(dict(Models=models), sort_keys=False, allow_unicode=True)


def model(path: Path) -> dict:
    """A config's entry."""
    name = path.stem
    variant = re.sub(r'_in1k$|^[a-z\d-]+_(?=rexnet|scalenet|san)|_(fpn_1x|\d+xb).*', '', name)
    rows = {config_name(row['backbone']): row for row in readme_table()}
    row = rows.get(variant, {})
    classifier = name.endswith('_in1k')
    data = 'ImageNet-1k' if classifier else 'COCO'
    task = 'Image Classification' if classifier else 'Object Detection'
    metadata = {'Training Data': data, **counts(name, row)}
    metrics = figures(name, variant, row)
    if metrics:
        metadata['Results'] = PUBLISHED
    return {
        'Name': name,
        'In Collection': collection(variant),
        'Config': path.relative_to(ROOT).as_posix(),
        'Metadata': metadata,
        'Results': [dict(Task=task, Dataset=data, Metrics=metrics or None)],
    }


def counts(name: str, row: dict) -> dict:
    """Parameters and multiply-adds, where the README has them."""
    if name.endswith('_in1k'):
        cell = row.get(CLASSIFIER)
    else:
        cell = row.get(DETECTOR) if re.fullmatch(r'faster-rcnn_.*_fpn_1x_coco', name) else None
    if not cell:
        return {}
    millions, billions = re.findall(r'[\d.]+', cell)[:2]
    return {
        'Parameters': round(float(millions) * 1e6),
        'FLOPs': round(float(billions) * 1e9),
    }


def figures(name: str, variant: str, row: dict) -> dict:
    """What the authors have published of exactly this model."""
    if name.endswith('_in1k'):
        accuracy = row.get(ACCURACY) or SAN_ACCURACY.get(variant)
        return {'Top 1 Accuracy': float(accuracy)} if accuracy else {}
    # ScaleNet's, in parentheses, are of a detector without FPN.
    if name.startswith('faster') and re.fullmatch(r'[\d.]+', row.get(BOX_AP, '')):
        return {'box AP': float(row[BOX_AP])}
    if name.startswith('mask-rcnn') and row.get(MASK_AP):
        box, mask = row[MASK_AP].split(' / ')
        return {'box AP': float(box), 'mask AP': float(mask)}
    return {}


def collection(variant: str) -> str:
    """The family of a network."""
    families = {'rexnet-lite': 'ReXNet-lite', 'rexnet': 'ReXNet', 'scalenet': 'ScaleNet'}
    return next((f for start, f in families.items() if variant.startswith(start)), 'SAN')


if __name__ == '__main__':
    main()
