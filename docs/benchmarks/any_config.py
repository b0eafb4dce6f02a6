"""This package's backbones in every config of mmdet: built, trained for a step, predicted with.

    python docs/benchmarks/any_config.py FOLDER [--only NAME ...] [--page docs/any_config_table.md]

With ``--package mmseg`` or ``--package mmrotate`` in those of these (``--page
docs/any_config_mmseg.md``). mmrotate needs mmcv's operators compiled.

Adapts every config that has a backbone for ReXNet 1.0, ScaleNet-50 and SAN ResNet-50, and lets two
made-up pictures through loss and prediction. Models that differ only in weights, in norms and in
what is frozen are run once (of mmseg's, those that differ in classes and crops too); `--jobs 16`
runs so many at a time. Keeps the results in FOLDER, goes on there when it is started again, and
writes the table of docs/any_config_table.md.
"""

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'tests/helpers'))

from trying import in_a_line, root, started

BACKBONES = {'ReXNet': 'ReXNet 1.0', 'ScaleNet': 'ScaleNet-50', 'SANResNet': 'SAN ResNet-50'}
SECONDS = 300  # for one model
# What a model can differ in and still be the same to this script.
ALIKE = ('init_cfg', 'frozen_stages', 'norm_eval', 'with_cp', 'teacher_ckpt')
# mmseg repeats each model for every data set: its number of classes, and its crops.
OF_A_SET = ('num_classes', 'size', 'crop_size', 'stride')
# Families of the old backbones.
FAMILIES = {
    'ResNet-like': ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt', 'RegNet'),
    'Swin-like': ('SwinTransformer',),
    'PVT': ('PyramidVisionTransformer', 'PyramidVisionTransformerV2'),
    'CSP': ('CSPDarknet', 'CSPNeXt'),
    'Darknet': ('Darknet',),
}
ADAPTED = 'not run yet'
WORKS, REFUSED, BROKEN, FAILED = 'works', 'refused', 'the original fails', 'fails'


def configs(package, only):
    """Paths of a package's configs below its folders, as text."""
    for path in sorted(root(package).rglob('*.py')):
        name = path.relative_to(root(package)).as_posix()
        if not name.startswith('_base_') and (not only or name.split('/')[0] in only):
            yield name


def plans(package, name):
    """What becomes of a config with each backbone, without running it; None if it has none."""
    from mmengine.config import Config

    from mmscale.adapting import plan
    from mmscale.adapting.hosts import find_host
    from mmscale.adapting.observing import observe
    from mmscale.engine.tasks import task_of
    from mmscale.errors import UserError

    try:
        cfg = Config.fromfile(root(package) / name)
    # Four of mmdet's inherit from files that are not there, one of mmrotate's imports mmcls.
    except (FileNotFoundError, ImportError):
        return dict(missing=True)
    model = cfg.get('model') or {}
    backbone = model.get('backbone') or (model.get('detector') or {}).get('backbone')
    if not backbone:
        return dict(missing=True)
    rows, old = {}, None
    for key in BACKBONES:
        try:
            old = old or observe(find_host(cfg).backbone, task_of(cfg).package)
            rows[key] = dict(model=digest(plan(cfg, key, {}, old).cfg))
        except UserError as error:
            rows[key] = dict(refused=str(error))
        except Exception as error:  # a traceback, of which there must be none
            rows[key] = dict(traceback=in_a_line(error))
    kind = str(backbone.get('type')).rpartition('.')[2]
    return dict(old=kind, text=bool(model.get('language_model')), rows=rows)


def digest(cfg):
    """Says which configs have the same model."""
    scope = cfg.get('default_scope')
    left = (*ALIKE, *OF_A_SET) if scope == 'mmseg' else ALIKE
    text = json.dumps([_alike(cfg.model.to_dict(), left), scope], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _alike(node, left):
    if isinstance(node, dict):
        kept = {str(k): _alike(v, left) for k, v in sorted(node.items()) if k not in left}
        if 'backbone' in kept:
            kept['backbone'].pop('norm_cfg', None)
        return kept
    return [_alike(v, left) for v in node] if isinstance(node, (list, tuple)) else node


def trial(package, name, backbone):
    """How far the adapted model gets; where it ends early, what the original ends with, if so."""
    from mmengine.config import Config

    from mmscale.adapting import plan
    from mmscale.adapting.proving import attempt, fault

    cfg = Config.fromfile(root(package) / name)
    done, error = attempt(plan(cfg, backbone, {}).cfg)
    return dict(done=done, fault=error, original=fault(cfg)) if error else dict(done=done)


def run(folder, package, only, jobs):
    """Everything that is not in the folder yet."""
    import mmdet.models  # noqa: F401  (once for all)
    import mmpretrain.models  # noqa: F401
    from mmdet.utils import register_all_modules
    from rich.progress import track

    import mmscale.adapting  # noqa: F401

    import_module(f'{package}.models')
    register_all_modules()
    names = list(configs(package, only))
    # One of every folder first: a run that is stopped has seen something of them all.
    firsts = {name.partition('/')[0]: name for name in reversed(names)}
    for chosen in (sorted(firsts.values()), names):
        _run_these(folder, package, chosen, jobs, track)


def _run_these(folder, package, names, jobs, track):
    found = read(folder / 'plans.json')
    for name in track(names, 'adapting'):
        if name not in found:
            found[name] = plans(package, name)
            write(folder / 'plans.json', found)
    tried = read(folder / 'tried.json')
    todo = {}
    for backbone in BACKBONES:
        for name in names:
            row = found[name].get('rows', {}).get(backbone, {})
            if 'model' in row and row['model'] not in tried:
                todo.setdefault(row['model'], (name, backbone))
    waiting, running = list(todo.items()), {}
    for _ in track(todo, 'running'):
        while waiting and len(running) < jobs:
            model, (name, backbone) = waiting.pop(0)
            kept = folder / f'{model}.json'
            kept.unlink(missing_ok=True)
            child = started(lambda n=name, b=backbone: trial(package, n, b), _saver(kept), SECONDS)
            running[child] = model, name, kept
        child, status = os.wait()
        model, name, kept = running.pop(child)
        ended = f'ended by signal {status & 127}'
        tried[model] = read(kept) or dict(done=[], fault=ended, original=None)
        tried[model]['config'] = name
        kept.unlink(missing_ok=True)
        write(folder / 'tried.json', tried)


def _saver(path):
    return lambda **result: write(path, result)


def read(path):
    """A JSON file, or an empty dict."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path, content):
    """A JSON file, whole."""
    aside = path.with_suffix('.tmp')
    aside.write_text(json.dumps(content))
    aside.rename(path)


def outcome(row, tried):
    """What became of a config with a backbone, in a word, and why."""
    if 'refused' in row:
        return REFUSED, row['refused']
    if 'model' not in row:
        return FAILED, row['traceback']
    if row['model'] not in tried:
        return ADAPTED, ''
    result = tried[row['model']]
    if not result.get('fault') and 'error' not in result:
        return WORKS, ''
    if result.get('original'):
        return BROKEN, result['original']
    return FAILED, result.get('fault') or result['error']


def page(folder, package):
    """The page, in Markdown."""
    found, tried = read(folder / 'plans.json'), read(folder / 'tried.json')
    rows = {name: plan for name, plan in found.items() if 'rows' in plan}
    results = {
        (name, backbone): outcome(row, tried)
        for name, plan in rows.items()
        for backbone, row in plan['rows'].items()
    }
    models = {row.get('model') for plan in rows.values() for row in plan['rows'].values()} - {None}
    left = sum(1 for _ in configs(package, None)) - len(found)
    command = 'any_config.py FOLDER --page docs/any_config_table.md'
    if package != 'mmdet':
        command = f'any_config.py FOLDER --package {package} --page docs/any_config_{package}.md'
    lines = [
        f"# {package}'s configs with other backbones",
        '',
        f'Written by `python docs/benchmarks/{command}`; '
        'how a config is adapted: [any_config.md](any_config.md).',
        '',
        f'{len(rows)} configs of {package} have a backbone'
        + (f' so far; {left} were not looked at yet' if left else '')
        + f'. Their {len(models)} models that differ in more than weights, norms and what is '
        'frozen '
        + ('(and classes and crops) ' if package == 'mmseg' else '')
        + 'are built, trained for a step and predicted with, on two made-up pictures'
        + (f'; {len(models - set(tried))} of them were not run yet' if models - set(tried) else '')
        + '.',
        '',
        *_counts(rows, results),
        '',
        *_reasons(rows, results),
    ]
    return '\n'.join(lines) + '\n'


def _counts(rows, results):
    """A row for every family of old backbones."""
    yield (
        '| old backbone | configs | ' + ' | '.join(f'{b}: work' for b in BACKBONES.values()) + ' |'
    )
    yield '|---' * (2 + len(BACKBONES)) + '|'
    groups = {}
    for name, plan in rows.items():
        family = next((f for f, kinds in FAMILIES.items() if plan['old'] in kinds), plan['old'])
        groups.setdefault(family, []).append(name)
    known = [name for family in FAMILIES for name in groups.get(family, [])]
    listed = {family: groups.get(family, []) for family in FAMILIES}
    listed['**these families**'] = known
    listed['of them, without text'] = [
        name
        for name in known
        if not any('language_model' in results[name, b][1] for b in BACKBONES)
    ]
    listed |= {family: names for family, names in sorted(groups.items()) if family not in FAMILIES}
    listed['**all**'] = list(rows)
    for family, names in listed.items():
        cells = []
        for backbone in BACKBONES:
            counts = Counter(results[name, backbone][0] for name in names)
            text = f'{counts[WORKS]} ({100 * counts[WORKS] / max(len(names), 1):.1f} %)'
            cells.append(text + (f', {counts[ADAPTED]} {ADAPTED}' if counts[ADAPTED] else ''))
        yield f'| {family} | {len(names)} | {" | ".join(cells)} |'


def _reasons(rows, results):
    """Every reason for which a config does not work, with the configs."""
    for word, title in (
        (REFUSED, 'Refused, in this line'),
        (BROKEN, 'Not proven: the original does not run here either'),
        (FAILED, 'Failed'),
    ):
        told = {}
        for (name, backbone), (result, why) in results.items():
            if result == word:
                told.setdefault(why, {}).setdefault(name, []).append(backbone)
        yield f'## {title}'
        yield ''
        if not told:
            yield 'None.'
        else:
            yield '| why | configs | backbones |'
            yield '|---|---|---|'
        for why, names in sorted(told.items()):
            backbones = Counter(b for found in names.values() for b in found)
            every = (
                'all'
                if all(len(b) == len(BACKBONES) for b in names.values())
                else ', '.join(backbones)
            )
            text = why.replace('|', '\\|').replace('\n', ' ')
            yield f'| {text} | {len(names)}: {_shortened(names)} | {every} |'
        yield ''


def _shortened(names):
    """Configs by folder."""
    folders = {}
    for name in sorted(names):
        folder, _, rest = name.partition('/')
        folders.setdefault(folder, []).append(rest.removesuffix('.py'))
    return '; '.join(
        f'{folder}/{found[0]}' if len(found) == 1 else f'{folder} ({len(found)})'
        for folder, found in folders.items()
    )


def build_parser():
    """The script's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--only', nargs='*', help='folders of configs (default: all)')
    parser.add_argument('--package', default='mmdet', choices=['mmdet', 'mmseg', 'mmrotate'])
    parser.add_argument('--jobs', type=int, default=1, help='models at a time (1)')
    parser.add_argument('--page', type=Path, help='write the page here (FOLDER/table.md)')
    return parser


def main():
    """See the module."""
    args = build_parser().parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.package != 'mmrotate':  # whose operators nothing stands in for
        # mmcv compiles some operators for GPUs alone.
        os.environ.setdefault('MMSCALE_OPERATORS', 'torchvision')
    import mmscale  # noqa: F401  (before mmdet: operators stand in for mmcv's)

    run(args.folder, args.package, args.only, args.jobs)
    out = args.page or args.folder / 'table.md'
    out.write_text(page(args.folder, args.package), encoding='utf-8')
    print(out)


if __name__ == '__main__':
    main()
