"""The three roads of docs/get_started.md as a new user takes them: what was typed, what was said.

    python docs/transcripts/roads.py WHEEL FOLDER --coco COCO [--python python3.11] [--weights]

Each road starts in a folder of its own in FOLDER and makes an environment, for which pip installs
everything; WHEEL is what `make dist` built, COCO a small set in COCO's layout. The page is written
beside this script. A road that is through is not run again.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from transcript import machine, run, written

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_suffix('.md')
# Title, what is said first, where the environment's programs are, what is typed.
ROADS = (
    (
        'Nothing installed',
        'The wheel lies in the folder.',
        'mm/bin',
        """\
python3 -m venv mm && . mm/bin/activate
pip install --quiet '{wheel}[onedl,report]'
mmscale make-shapes data/shapes --train 32 --val 4
mmscale new data/shapes -o my_config.py
mmscale train my_config.py --cfg-options {no_weights}train_cfg.max_epochs=2
mmscale test my_config.py work_dirs/my_config --report
mmscale infer work_dirs/my_config data/shapes/val --out out
ls out out/vis
cat three_lines.py
python three_lines.py""",
    ),
    (
        'An OpenMMLab environment',
        'The first two lines make what the user of this road has. COCO is in `data/coco`.',
        'mm/bin',
        """\
python3 -m venv mm && . mm/bin/activate
pip install --quiet torch torchvision onedl-mmengine onedl-mmcv onedl-mmdetection
pip install --quiet {wheel}
mmscale train {retinanet} --cfg-options {no_weights}{unfrozen}{small}
mmscale infer {trained} picture.jpg --out out
mmscale adapt {retinanet} -o my_config.py
cat own_tools.py
python own_tools.py""",
    ),
    (
        'A checkout',
        'Of the demo the beginning was run, of `make test` the linters.',
        'mmscale/.venv/bin',
        """\
git clone --quiet REPOSITORY mmscale
make -C mmscale setup
cd mmscale && python tools/demo.py --from-scratch --cfg-options {few_steps}
ls mmscale/work_dirs/demo
make -C mmscale lint""",
    ),
)
FILES = {
    'three_lines.py': """\
import mmscale

model = mmscale.load('work_dirs/my_config')
print(model.predict('data/shapes/val/000001.jpg', threshold=0.01)[0])
""",
    'own_tools.py': """\
import mmscale  # first, where mmcv's operators are not compiled
from mmdet.apis import DetInferencer, inference_detector, init_detector

files = 'my_config.py', '{trained}/epoch_1.pth'
detector = init_detector(*files, device='cpu')
print(type(detector.backbone), len(inference_detector(detector, 'picture.jpg').pred_instances))
inferencer = DetInferencer(*files, device='cpu')
print(inferencer('picture.jpg', no_save_vis=True)['predictions'][0].keys())
""",
}
WORDS = dict(
    no_weights='model.backbone.init_cfg=None ',
    unfrozen='model.backbone.frozen_stages=-1 ',
    retinanet='mmdet::retinanet/retinanet_r50_fpn_1x_coco --backbone ReXNet width_mult=1.3',
    trained='work_dirs/retinanet_r50_fpn_1x_coco_rexnet',
    small='train_cfg.max_epochs=1 train_dataloader.dataset.indices=8 '
    'val_dataloader.dataset.indices=4',
    few_steps='train_cfg.max_iters=4 val_dataloader.dataset.indices=8 '
    'test_dataloader.dataset.indices=8',
)
INTRODUCTION = """\
# The three roads, as a new user takes them

What is typed on each road of [get started](../get_started.md), and what is said; written by
[`roads.py`](roads.py) on {date}, with mmscale {version} from a wheel, on {machine}.
Each road began in an empty folder without an environment, and pip installed everything, from an
index nearby.
{no_hub}The runs are as short as they can be: they say that everything runs, not what
can be found. "The testing results of the whole dataset is empty" is mmdet's word for that.
"""
NO_HUB = """The machine had no way to the hub's weights, so they are switched off
(`init_cfg=None`, and no frozen stages); where there is one, those options are left out.
"""


def take(commands: str, words: dict, folder: Path, programs: str, python: str) -> list[dict]:
    """Run a road's commands in its folder; kept there."""
    kept = folder / 'typed.json'
    if kept.is_file():
        return json.loads(kept.read_text())
    done = []
    for typed in commands.format(**words).splitlines():
        real = typed.replace('python3 ', f'{python} ').replace('REPOSITORY', str(ROOT))
        real = real.replace(' setup', f' setup PYTHON={python}')
        done.append({**run(real, folder, folder / programs), 'command': typed})
    kept.write_text(json.dumps(done))
    return done


def build_parser():
    """The script's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('wheel', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--coco', type=Path, required=True, help="a small set in COCO's layout")
    parser.add_argument('--python', default='python3', help='the one of the environments (python3)')
    parser.add_argument('--weights', action='store_true', help="fetch the backbones' weights")
    return parser


def main():
    args = build_parser().parse_args()
    words = {**WORDS, 'wheel': args.wheel.name}
    if args.weights:
        words |= dict(no_weights='', unfrozen='')
    page = []
    for title, before, programs, commands in ROADS:
        folder = args.folder.resolve() / title.replace(' ', '-').lower()
        (folder / 'data').mkdir(parents=True, exist_ok=True)
        shutil.copy(args.wheel, folder)
        for name, text in FILES.items():
            (folder / name).write_text(text.format(**words))
        if not (folder / 'data/coco').exists():
            (folder / 'data/coco').symlink_to(args.coco.resolve())
            shutil.copy(next(args.coco.glob('val2017/*.jpg')), folder / 'picture.jpg')
        page += [f'## {title}\n', f'{before}\n']
        page += [
            written(step, folder) for step in take(commands, words, folder, programs, args.python)
        ]
    head = INTRODUCTION.format(
        date=time.strftime('%Y-%m-%d'),
        version=args.wheel.name.split('-')[1],
        machine=machine(),
        no_hub='' if args.weights else NO_HUB,
    )
    PAGE.write_text('\n'.join([head, *page]))


if __name__ == '__main__':
    main()
