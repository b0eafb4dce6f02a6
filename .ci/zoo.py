"""Write the metafiles of the configs and docs/zoo.md: counts, and what the authors published.

    python .ci/zoo.py              # from zoo.yml and zoo_counts.json, which lie beside this file
    python .ci/zoo.py --count      # first count the configs that zoo_counts.json lacks: delete it to count all anew

`mim search`, mmpretrain's `list_models`, `get_model` and `inference_model` by name, and mmengine's
`get_config` read the metafiles. Tests hold the counts, the metafiles and the page.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from mmengine.hub import get_config

import mmscale

ROOT = Path(__file__).parents[1]
COUNTS = ROOT / '.ci/zoo_counts.json'
PAGE = ROOT / 'docs/zoo.md'
SOURCE = yaml.safe_load((ROOT / '.ci/zoo.yml').read_text(encoding='utf-8'))
FOLDERS = ('classification', *(family.lower() for family in SOURCE['families']))
PUBLISHED = "the authors' claim; nobody has reproduced it here"
# The configs of other packages that stand beside ours.
OTHERS = {
    'r50_in1k': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'faster-rcnn_r50_fpn_1x_coco': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask-rcnn_r50_fpn_1x_coco': 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
}
CLASSIFIER = '{}_in1k'
FASTER = 'faster-rcnn_{}_fpn_1x_coco'
MASK = 'mask-rcnn_{}_fpn_1x_coco'
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
    """Everything that is counted: the name, and where its config is."""
    return {**OTHERS, **{path.stem: path for folder in FOLDERS for path in configs(folder)}}


def counted(name: str) -> dict[str, Any]:
    """Parameters and multiply-adds of a config, whole and of its backbone."""
    from mmscale.engine.config import load_config
    from mmscale.engine.counting import count

    config = get_config(OTHERS[name]) if name in OTHERS else load_config(str(names()[name]))
    found = count(config)
    backbone = found['parts']['backbone']
    result = {key: found[key] for key in ('params', 'macs', 'shape')}
    result.update(backbone_params=backbone['params'], backbone_macs=backbone['macs'])
    return {**result, 'not_counted': found['not_counted']}


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
    data = 'ImageNet-1k' if name.endswith('_in1k') else 'COCO'
    task = 'Image Classification' if name.endswith('_in1k') else 'Object Detection'
    metadata = {'Training Data': data}
    if name in counts() and not counts()[name]['not_counted']:
        metadata.update(Parameters=counts()[name]['params'], FLOPs=counts()[name]['macs'])
    metrics = figures(name)
    if metrics:
        metadata['Results'] = PUBLISHED
    return {
        'Name': name,
        'In Collection': collection(network_of(name)),
        'Config': path.relative_to(ROOT).as_posix(),
        'Metadata': metadata,
        'Results': [dict(Task=task, Dataset=data, Metrics=metrics or None)],
    }


def network_of(name: str) -> str:
    """The network of a config: of ``faster-rcnn_rexnet-100_fpn_1x_coco`` it is ``rexnet-100``."""
    families = '|'.join(FOLDERS[1:])
    return re.sub(rf'_in1k$|^[a-z\d-]+_(?={families})|_(fpn_1x|\d+xb).*', '', name)


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


HEAD = f"""\
# Zoo

Every network with a config: what it costs, what its authors say of it, and where its weights are. `python .ci/zoo.py`
writes this page and the metafiles that `mim` and mmpretrain read, from one file of published figures.

- **Counted** is what `mmscale count-flops CONFIG` prints: parameters in M, and multiply-adds in G of convolutions, linear
  layers and matrix products, for exactly the size given. Tests count every cell anew.
- **Published** is {PUBLISHED}: there was no ImageNet and no COCO where this was made.
- What was trained here, on small data, stands apart: [measurements](notes/measurements.md).
"""


def page() -> str:
    """The text of docs/zoo.md."""
    return '\n'.join([
        HEAD,
        '## Networks\n',
        'Where the weights are, and how pictures are to be normalised for them. [Weights](weights.md) says how a file',
        'is given to a model, and how one is fetched by hand.\n',
        table(['network', 'weights', 'licence', 'normalisation'], map(network_row, networks())),
        "ImageNet's is RGB, mean (123.675, 116.28, 103.53), deviation (58.395, 57.12, 57.375); 0 to 1 is RGB, mean 0,",
        'deviation 255. ImageNet\'s is published for ReXNet; the authors of ScaleNet do not say. The configs set it.\n',
        '## Classifiers\n',
        'At 224 px, on ImageNet.\n',
        '![Multiply-adds and published top-1 of the classifiers](images/zoo-classifiers.png)\n',
        '*Multiply-adds, counted, and accuracy, published. Recipes differ: two groups of authors trained ResNet-50, and are',
        '1.2 points apart.*\n',
        table(
            ['network', 'counted: M / G', 'published: top-1 / top-5, %', 'config'],
            filter(None, map(classifier_row, [*networks(), ('ResNet-50 (mmpretrain)', 'r50', None)])),
        ),
        "Beside ResNet-50 is what SAN's authors have for it; ScaleNet's have 75.98.\n",
        '### SAN by resolution\n',
        "Published top-1, %, of SAN's authors:\n",
        resolutions(),
        'Of SAN ResNets the paper has curves and tables; [SAN](san.md) says how a resolution is chosen.\n',
        '## Detectors\n',
        'With FPN, 80 classes, at 800 x 1200 px. The configs train at mmdet\'s 1333 x 800; the authors have pictures of',
        '1200 x 800.\n',
        '![Multiply-adds and published box AP of the detectors](images/zoo-detectors.png)\n',
        '*Multiply-adds of the whole detector, counted, and box AP on COCO val2017, published.*\n',
        table(
            ['network', 'Faster R-CNN, counted: M / G, of it backbone', 'published: box AP',
             'Mask R-CNN, counted: M / G', 'published: box / mask AP', 'configs'],
            filter(None, map(detector_row, [*networks(), ('ResNet-50 (mmdet)', 'r50', None)])),
        ),
        "Mask R-CNN's count has 100 masks in it. In parentheses: ScaleNet's own Faster R-CNN *without* FPN, for pictures of",
        '800 / 1200. No result of a ScaleNet with FPN, and none of SAN in a detector, was ever published.\n',
        "### Other detectors\n",
        'The schedules are those of mmdet\'s own configs. Nobody has published a result of these, and nobody has trained',
        'them yet. Counted at 800 x 1200 px:\n',
        table(['config', 'counted: M / G'], map(other_row, others())),
        not_counted(),
        '## The authors\' tables beside our counts\n',
        'Parameters in M and FLOPs in G as the authors print them, row by row. Their classifiers\' agree with ours. Their',
        'detectors\' count by another rule: about 7 G more in every row of Faster R-CNN, ResNet-50\'s too.\n',
        table(['model', 'published: M / G', 'counted: M / G'], cost_rows()),
        "Two more rows of the authors' page do not belong to their networks: ReXNet 2.0 once stands with 1.8 G and 19 M,",
        'which is the cost of width 2.2, and ReXNet 1.5 once with the cost of 1.3. Their other tables are right.',
    ]) + '\n'  # fmt: skip


def table(titles: list[str], rows: Any) -> str:
    """A table in Markdown."""
    lines = [titles, ['---'] * len(titles), *rows]
    return '\n'.join(f'| {" | ".join(line)} |'.replace('  ', ' ') for line in lines) + '\n'


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
        place = f'[{"the same" if variant.weights else "by hand"}]({family["page"]})'
        weights = f'`{variant.weights}`, or {place} by hand' if variant.weights else place
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


def others() -> list[str]:
    """The configs that are none of the above."""
    known = [form.format(network_of(name)) for form in TASKS.values() for name in names()]
    return [name for name in names() if name not in known and name not in OTHERS]


def other_row(name: str) -> list[str]:
    """A config and its cost."""
    mark = ' *' if counts()[name]['not_counted'] else ''
    return [link(name), cost(name, 1) + mark]


def not_counted() -> str:
    """What the stars of the table mean."""
    missing = sorted({kind for name in others() for kind in counts()[name]['not_counted']})
    return f'\\* without the operators of {", ".join(missing)}.\n' if missing else ''


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
