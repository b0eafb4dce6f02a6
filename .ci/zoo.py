"""Write the metafiles of the configs and docs/zoo.md: counts, and what the authors published.

    python .ci/zoo.py              # from zoo.yml and zoo_counts.json, which lie beside this file
    python .ci/zoo.py --count      # count first what zoo_counts.json lacks; delete it to count anew

`mim search`, mmpretrain's `list_models`, `get_model` and `inference_model` by name, and mmengine's
`get_config` read the metafiles. Tests hold the counts, the metafiles and the page.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from mmengine.hub import get_config

import mmscale

ROOT = Path(__file__).parents[1]
COUNTS = ROOT / '.ci/zoo_counts.json'
PAGE = ROOT / 'docs/zoo.md'
TEMPLATE = ROOT / '.ci/zoo_page.md'  # the page without its tables
SOURCE = yaml.safe_load((ROOT / '.ci/zoo.yml').read_text(encoding='utf-8'))
FAMILIES = [family.lower() for family in SOURCE['families']]
FOLDERS = ('classification', *FAMILIES, 'segmentation')
PUBLISHED = "the authors' claim; nobody has reproduced it here"
# The configs of other packages that stand beside ours.
OTHERS = {
    'r50_in1k': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'faster-rcnn_r50_fpn_1x_coco': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask-rcnn_r50_fpn_1x_coco': 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
}
# Detectors that are tested at another size than others are counted at.
SHAPES = {'rtmdet': (640, 640), 'ssdlite': (320, 320)}
CLASSIFIER = '{}_in1k'
FASTER = 'faster-rcnn_{}_fpn_1x_coco'
MASK = 'mask-rcnn_{}_fpn_1x_coco'
MASKED = ('mask', 'cascade-mask', 'rtmdet-ins')
MASK_TASK = 'Instance Segmentation'
SEGMENTORS = {'cityscapes': 'Cityscapes', 'ade20k': 'ADE20K'}  # and their crop: cityscapes-512x1024
# What a task is called in zoo.yml.
TASKS = {'classifier': CLASSIFIER, 'faster-rcnn': FASTER, 'mask-rcnn': MASK}


def main() -> None:
    """Count, if that is wanted, and write the metafile of every folder and the page."""
    if '--count' in sys.argv[1:]:
        write_counts()
    for folder in FOLDERS:
        (ROOT / f'configs/{folder}/metafile.yml').write_text(metafile(folder), encoding='utf-8')
    PAGE.write_text(page(), encoding='utf-8')


# Counts


def configs(folder: str) -> list[Path]:
    """The configs of a folder that stand for a published network."""
    paths = sorted((ROOT / 'configs' / folder).glob('*.py'))
    return [path for path in paths if 'overfit' not in path.name]


def names() -> dict[str, str | Path]:
    """Everything on the page: the name, and where its config is."""
    return {**OTHERS, **{path.stem: path for folder in FOLDERS for path in configs(folder)}}


def counted(name: str) -> dict[str, Any]:
    """Parameters and multiply-adds of a config, whole and of its backbone."""
    from mmscale.engine.config import load_config
    from mmscale.engine.counting import count

    config = get_config(OTHERS[name]) if name in OTHERS else load_config(str(names()[name]))
    found = count(config, shape_of(name))
    backbone = found['parts']['backbone']
    result = {key: found[key] for key in ('params', 'macs', 'shape')}
    return {**result, 'backbone_params': backbone['params'], 'backbone_macs': backbone['macs']}


def shape_of(name: str) -> tuple[int, int] | None:
    """Height and width that a config is counted at, where its kind has another one than usual."""
    if crop := re.search(r'-(\d+)x(\d+)$', name):
        return int(crop[1]), int(crop[2])
    return next((SHAPES[kind] for kind in SHAPES if name.startswith(kind)), None)


def counts() -> dict[str, dict[str, Any]]:
    """What was counted, by the names of the configs."""
    return json.loads(COUNTS.read_text(encoding='utf-8')) if COUNTS.exists() else {}


def write_counts() -> None:
    """Count what was not counted yet, and forget configs that are gone."""
    known, result = counts(), {}
    for name in names():
        result[name] = known.get(name) or counted(name)
    lines = [f'  {json.dumps(name)}: {json.dumps(row)}' for name, row in result.items()]
    COUNTS.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')


# Metafiles


def metafile(folder: str) -> str:
    """The text of a folder's metafile."""
    models = [model(path) for path in configs(folder)]
    head = '# Written by .ci/zoo.py.\n'
    return head + yaml.safe_dump(dict(Models=models), sort_keys=False, allow_unicode=True)


def model(path: Path) -> dict:
    """A config's entry."""
    name = path.stem
    data, tasks = purpose(name)
    row = counts()[name]
    metadata = {'Training Data': data, 'Parameters': row['params'], 'FLOPs': row['macs']}
    metrics = figures(name)
    if metrics:
        metadata['Results'] = PUBLISHED
    return {
        'Name': name,
        'In Collection': collection(network_of(name)),
        'Config': path.relative_to(ROOT).as_posix(),
        'Metadata': metadata,
        'Results': [result(task, data, metrics) for task in tasks],
    }


def purpose(name: str) -> tuple[str, list[str]]:
    """The data set and the tasks of a config."""
    if name.endswith('_in1k'):
        return 'ImageNet-1k', ['Image Classification']
    if crops := [SEGMENTORS[data] for data in SEGMENTORS if f'_{data}-' in name]:
        return crops[0], ['Semantic Segmentation']
    return 'COCO', ['Object Detection'] + [MASK_TASK] * name.startswith(MASKED)


def result(task: str, data: str, metrics: dict[str, float]) -> dict:
    """What was published of one task of a model."""
    own = {key: metrics[key] for key in metrics if ('mask' in key) is (task == MASK_TASK)}
    return dict(Task=task, Dataset=data, Metrics=own or None)


def network_of(name: str) -> str:
    """The network of a config: of ``faster-rcnn_rexnet-100_fpn_1x_coco`` it is ``rexnet-100``."""
    families = '|'.join(FAMILIES)
    return re.sub(rf'_in1k$|^[a-z\d-]+_(?={families})|_(fpn_1x|\d+xb).*|-d16_.*', '', name)


def figures(name: str) -> dict[str, float]:
    """What the authors have published of exactly this model."""
    network = network_of(name)
    for task, form in TASKS.items():
        if name == form.format(network):
            row = SOURCE['networks'].get(network, {}).get(task, {})
            kinds = {
                'top-1': 'Top 1 Accuracy', 'top-5': 'Top 5 Accuracy',
                'box AP': 'box AP', 'mask AP': 'mask AP',
            }  # fmt: skip
            return {kinds[key]: float(row[key]) for key in row if key in kinds}
    return {}


def collection(network: str) -> str:
    """The family of a network, of which ReXNet-lite is one of its own."""
    if network.startswith('rexnet-lite'):
        return 'ReXNet-lite'
    return next(family for family in SOURCE['families'] if network.startswith(family.lower()))


# The page


def page() -> str:
    """The text of docs/zoo.md."""
    plain = dict(classifiers='ResNet-50 (mmpretrain)', detectors='ResNet-50 (mmdet)')
    every = {kind: [*networks(), (label, 'r50', None)] for kind, label in plain.items()}
    titles = ['config', 'counted: M / G', 'at, px']
    tables = dict(
        networks=table(['network', 'weights', 'licence', 'normalisation'], networks(), network_row),
        classifiers=table(
            ['network', 'counted: M / G', 'published: top-1 / top-5, %', 'config'],
            every['classifiers'],
            classifier_row,
        ),
        resolutions=resolutions(),
        detectors=table(
            [
                'network',
                'Faster R-CNN, counted: M / G, of it backbone',
                'published: box AP',
                'Mask R-CNN, counted: M / G',
                'published: box / mask AP',
                'configs',
            ],
            every['detectors'],
            detector_row,
        ),
        others=table(titles, others(segmentors=False), other_row),
        segmentors=table(titles, others(segmentors=True), other_row),
        costs=table(['model', 'published: M / G', 'counted: M / G'], cost_rows()),
    )
    text = TEMPLATE.read_text(encoding='utf-8')
    return text.format(**tables, published=PUBLISHED)


def table(titles: list[str], things: Iterable[Any], row: Callable = list) -> str:
    """A table in Markdown, without the things that have no row."""
    lines = [titles, ['---'] * len(titles), *filter(None, map(row, things))]
    return '\n'.join(f'| {" | ".join(line)} |'.replace('  ', ' ') for line in lines)


def networks() -> list[tuple[str, str, Any]]:
    """Label, name in configs and :class:`Variant` of every network with a config, by family."""
    found = []
    for family in SOURCE['families'].values():
        for kind in family['classes']:
            for variant in getattr(mmscale, kind).variants():
                label = variant.label.replace('scalenet', '').replace('_', '-')
                if any(network_of(name) == variant.config for name in names()):
                    found.append((label, variant.config, variant))
    return found


def network_row(network: tuple) -> list[str]:
    """Weights, licence and normalisation."""
    label, name, variant = network
    family = SOURCE['families'][collection(name).removesuffix('-lite')]
    weights, licence = 'none published', ''
    if variant.weights or name in SOURCE['by hand']:
        weights = f'[by hand]({family["page"]})'
        if variant.weights:
            weights = f'`{variant.weights}`, or {weights}'
        licence = family['licence']
    return [label, weights, licence, family['normalisation']]


def cost(name: str, digits: int) -> str:
    """Parameters and multiply-adds of a config."""
    row = counts()[name]
    return f'{row["params"] / 1e6:.2f} / {row["macs"] / 1e9:.{digits}f}'


def link(name: str, text: str = '') -> str:
    """A link to a config of this package."""
    path = names()[name]
    if isinstance(path, str):
        return f'`{path}`'
    return f'[{text or name}](../{path.relative_to(ROOT).as_posix()})'


def classifier_row(network: tuple) -> list[str] | None:
    """A network's classifier, if it has a config."""
    label, network_name, _ = network
    name = CLASSIFIER.format(network_name)
    if name not in names():
        return None
    row = SOURCE['networks'].get(network_name, {}).get('classifier', {})
    published = ' / '.join(row[key] for key in ('top-1', 'top-5') if key in row)
    return [label, cost(name, 3), published, link(name)]


def resolutions() -> str:
    """SAN's table of accuracies."""
    rows = SOURCE['resolutions']
    pixels = list(max(rows.values(), key=len))
    lines = [[label, *(row.get(px, '') for px in pixels)] for label, row in rows.items()]
    return table(['px', *map(str, pixels)], lines)


def detector_row(network: tuple) -> list[str] | None:
    """A network's Faster and Mask R-CNN, if it has their configs."""
    label, network_name, _ = network
    faster, mask = FASTER.format(network_name), MASK.format(network_name)
    if faster not in names():
        return None
    published = SOURCE['networks'].get(network_name, {})
    box = published.get('faster-rcnn', {}).get('box AP', '')
    if 'without FPN' in published:
        box = f'{box} ({published["without FPN"]["box AP"]})'.strip()
    masks = ' / '.join(
        published.get('mask-rcnn', {}).get(key, '') for key in ('box AP', 'mask AP')
    ).strip(' /')
    row = counts()[faster]
    backbone = f'{row["backbone_params"] / 1e6:.2f} / {row["backbone_macs"] / 1e9:.1f}'
    places = f'{link(faster, "Faster")}, {link(mask, "Mask")}'
    return [label, f'{cost(faster, 1)}, {backbone}', box, cost(mask, 1), masks, places]


def others(*, segmentors: bool) -> list[str]:
    """The detectors that are none of the above, or the segmentors."""
    known = [form.format(network_of(name)) for form in TASKS.values() for name in names()]
    left = [name for name in names() if name not in known and name not in OTHERS]
    return [name for name in left if ('Semantic Segmentation' in purpose(name)[1]) is segmentors]


def other_row(name: str) -> list[str]:
    """A config and its cost."""
    return [link(name), cost(name, 1), ' x '.join(map(str, counts()[name]['shape']))]


def cost_rows() -> list[list[str]]:
    """Every published cost beside the count."""
    labels = {name: label for label, name, _ in networks()} | {'r50': 'ResNet-50'}
    titles = {'classifier': 'classifier', 'faster-rcnn': 'Faster R-CNN', 'mask-rcnn': 'Mask R-CNN'}
    rows = []
    for task, title in titles.items():
        for name, published in SOURCE['networks'].items():
            given = [
                row['cost']
                for key, row in published.items()
                if key.startswith(task) and 'cost' in row
            ]
            for text in given:
                digits = 3 if task == 'classifier' else 1
                ours = cost(TASKS[task].format(name), digits)
                rows.append([f'{title}, {labels[name]}', text, ours])
    return rows


if __name__ == '__main__':
    main()
