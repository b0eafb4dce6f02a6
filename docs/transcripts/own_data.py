"""From a folder to a tested detector, in five public layouts, as a page of what was typed and said.

    python docs/transcripts/own_data.py SHAPES COCO FOLDER --mmscale VENV/bin/mmscale

SHAPES is made by `mmscale make-shapes`, COCO is in COCO's layout, VENV has mmscale installed from a
wheel. In FOLDER, which is made, supervision writes the layouts; then the commands run there, and
the page is written beside this script. A layout that is through is not run again.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import supervision as sv
from transcript import machine, run, written

PAGE = Path(__file__).with_suffix('.md')
PICTURES = {'train': 24, 'val': 8}
# Whose weights the configs name: a classifier's are those of the whole.
NO_HUB, NO_HUB_CLASSIFIER = 'model.backbone.init_cfg=None', 'model.init_cfg=None'
NO_HUB_SAID = """The machine had no way to the hub's weights, so they are
switched off; where there is one, that option is left out."""
SHORT = 'train_cfg.max_epochs=1 train_cfg.val_interval=1'
TEN = 'train_cfg.max_epochs=10'
INTRODUCTION = """\
# Five layouts, from the folder to the report

What was typed in an empty folder, with mmscale {version} installed from a wheel, and what was said;
written by [`own_data.py`](own_data.py) on {date}, on {machine}. The layouts are those that
supervision {supervision} writes. Nothing was edited by hand. {no_hub}

A set has {train} pictures to train on and {val} to test with (Pascal VOC's is split by
`mmscale new`), and the detectors are trained for one epoch, the classifier for ten, of the hundred
that the configs state: the figures say that everything runs, not how good or how fast it is.
"""


def detection(images: Path, annotations: Path, most: int) -> sv.DetectionDataset:
    """The first pictures of a set in COCO's format, with their boxes."""
    whole = sv.DetectionDataset.from_coco(str(images), str(annotations))
    paths = sorted(whole.image_paths)[:most]
    chosen = {path: whole.annotations[path] for path in paths}
    for found in chosen.values():
        found.mask = None
    return sv.DetectionDataset(classes=whole.classes, images=paths, annotations=chosen)


def write_coco(sets, folder):
    for split, dataset in sets.items():
        dataset.as_coco(str(folder / split), str(folder / f'annotations/instances_{split}.json'))


def write_roboflow(sets, folder):
    for split, dataset in sets.items():
        place = folder / {'val': 'valid'}.get(split, split)
        dataset.as_coco(str(place), str(place / '_annotations.coco.json'))


def write_yolo(sets, folder):
    for split, dataset in sets.items():
        dataset.as_yolo(
            str(folder / 'images' / split),
            str(folder / 'labels' / split),
            str(folder / 'data.yaml'),
        )


def write_voc(sets, folder):
    """One part alone: `mmscale new` splits it."""
    sets['train'].as_pascal_voc(str(folder / 'JPEGImages'), str(folder / 'Annotations'))


def write_classes(shapes, folder):
    for split in PICTURES:
        root = shapes / 'classes' / split
        whole = sv.ClassificationDataset.from_folder_structure(str(root))
        parts, _ = whole.split(0.1, random_state=0, shuffle=True)
        parts.as_folder_structure(str(folder / split))


def run_layout(name: str, folder: Path, programs: Path, hub: str, length: str) -> list[dict]:
    """The four commands of a layout; kept in its folder."""
    kept = folder / f'{name}_commands.json'
    if kept.is_file():
        return json.loads(kept.read_text())
    done = [
        run(f'mmscale new {name} -o {name}.py', folder, programs),
        run(f'mmscale train {name}.py{options(hub, length)}', folder, programs),
    ]
    best = next((folder / f'work_dirs/{name}').glob('best_*.pth'))
    tested = f'mmscale test {name}.py {best.relative_to(folder)} --report'
    done.append(run(f'{tested}{options(hub)}', folder, programs))
    done.append(run(f'ls -s --block-size=K work_dirs/{name}', folder, programs))
    kept.write_text(json.dumps(done))
    return done


def options(*settings: str) -> str:
    given = ' '.join(filter(None, settings))
    return f' --cfg-options {given}' if given else ''


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('shapes', type=Path)
    parser.add_argument('coco', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--mmscale', type=Path, default=shutil.which('mmscale'))
    parser.add_argument('--weights', action='store_true', help="fetch the backbones' weights")
    args = parser.parse_args()
    folder, programs = args.folder.resolve(), args.mmscale.absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {
        split: detection(
            args.shapes / split, args.shapes / f'annotations/instances_{split}.json', most
        )
        for split, most in PICTURES.items()
    }
    coco = {
        split: detection(
            args.coco / f'{split}2017', args.coco / f'annotations/instances_{split}2017.json', most
        )
        for split, most in PICTURES.items()
    }
    layouts = [
        ('coco', 'COCO, real pictures', NO_HUB, SHORT, write_coco, coco),
        ('roboflow', "Roboflow's COCO", NO_HUB, SHORT, write_roboflow, shapes),
        ('yolo', 'YOLO', NO_HUB, SHORT, write_yolo, shapes),
        ('voc', 'Pascal VOC', NO_HUB, SHORT, write_voc, shapes),
        ('crops', 'Class folders', NO_HUB_CLASSIFIER, TEN, write_classes, args.shapes),
    ]
    page = []
    for name, title, hub, length, write, source in layouts:
        if not (folder / name).is_dir():
            write(source, folder / name)
        page.append(f'## {title}\n')
        hub = '' if args.weights else hub
        for step in run_layout(name, folder, programs, hub, length):
            page.append(written(step, folder))
    version = run('mmscale --version', folder, programs)['output'].split()[-1]
    no_hub = '' if args.weights else NO_HUB_SAID
    head = INTRODUCTION.format(
        date=time.strftime('%Y-%m-%d'),
        version=version,
        machine=machine(),
        supervision=sv.__version__,
        no_hub=no_hub,
        **PICTURES,
    )
    PAGE.write_text('\n'.join([head, *page]))


if __name__ == '__main__':
    main()
