"""The command ``mmscale demo``: the whole road on a laptop, from data to predictions."""

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmscale.cli.parsing import CommandParser, add_overrides, one_line_errors
from mmscale.datasets.shapes import make_shapes
from mmscale.engine.config import load_config
from mmscale.engine.resuming import newest_checkpoint
from mmscale.engine.testing import evaluate
from mmscale.engine.training import train
from mmscale.errors import UserError
from mmscale.reports.coco import FIGURES, coco_figures
from mmscale.reports.curves import draw_curve
from mmscale.reports.kept import read_kept
from mmscale.reports.page.writing import NAME, write_report
from mmscale.reports.predictions import draw_predictions

CONFIG = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
PRETRAINING = 'shapes/rexnet-100_shapes'


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser('demo')
    parser.add_argument('--config', default=CONFIG, help='the detector (%(default)s)')
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--pretraining', default=PRETRAINING, help='the classifier, with its backbone (%(default)s)'
    )
    start.add_argument(
        '--from-scratch', action='store_true', help='no classifier: the detector starts at random'
    )
    parser.add_argument('--work-dir', default='work_dirs/demo', help='(%(default)s)')
    add_overrides(parser, "override the detector's settings: train_cfg.max_iters=100")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    pretraining = None if args.from_scratch else args.pretraining
    with one_line_errors():
        run_demo(args.config, pretraining, args.work_dir, args.overrides)


def run_demo(
    config: str = CONFIG,
    pretraining: str | None = PRETRAINING,
    work_dir: str = 'work_dirs/demo',
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Make the shapes set, train on it, evaluate, and draw; go on where an earlier run stopped.

    Args:
        config (str): A detector of configs/shapes, by path or bare name. It says where the data
            set goes.
        pretraining (str, optional): The classifier of configs/shapes with the same backbone, which
            is trained first and handed on; None trains the detector from scratch.
        work_dir (str): Where everything else goes.
        overrides (dict, optional): For the detector, as in
            :func:`mmscale.engine.config.load_config`.

    Returns:
        dict[str, float]: COCO's twelve figures by name (see `FIGURES`).

    Raises:
        UserError: If the two configs do not fit each other.
    """
    console, folder, settings = Console(), Path(work_dir), dict(overrides or {})
    cfg = load_config(config, settings)
    if pretraining and not cfg.model.backbone.type.startswith('mmscale.'):
        raise UserError(f'the backbone of {config} is not that of {pretraining}: --from-scratch')
    console.rule('1/4 data')
    make_shapes(cfg.data_root)
    start = time.time()
    if pretraining:
        console.rule('2/4 pretraining: a classifier of small crops')
        train(pretraining, work_dir=folder / 'classifier', resume='auto')
        classifier = newest_checkpoint(folder / 'classifier')
        settings['model.backbone.init_cfg.checkpoint'] = classifier
    console.rule('3/4 the detector: training and evaluation')
    train(config, work_dir=folder, resume='auto', overrides=settings)
    minutes = (time.time() - start) / 60
    console.rule('4/4 test, pictures and report')
    checkpoint = newest_checkpoint(folder)
    assert checkpoint, f'the training in {folder} has left no checkpoint'
    evaluate(config, checkpoint, work_dir=folder, report=_report, overrides=settings)
    results = read_kept(folder).path('predictions.bbox.json')
    figures = coco_figures(cfg.test_evaluator.ann_file, results)
    predictions = draw_predictions(cfg, checkpoint, folder / 'predictions.png')
    curve = draw_curve(folder, folder / 'training_curve.png')
    table = Table('figure', 'of', 'value', title=f'Box figures after {minutes:.1f} minutes')
    for name, meaning in FIGURES:
        table.add_row(name, meaning, f'{figures[name]:.3f}')
    console.print(table)
    console.print(f'Predictions (right) beside the ground truth: {predictions}', soft_wrap=True)
    console.print(f'Training curve: {curve}', soft_wrap=True)
    page = folder / NAME
    if page.exists():
        link = page.resolve().as_uri()
        console.print(f'Report: [link={link}]{escape(str(page))}[/link]', soft_wrap=True)
    else:
        console.print("No report: pip install 'mmscale[report]'", soft_wrap=True, markup=False)
    console.print(f'To train anew, remove {folder} first.', soft_wrap=True)
    return figures


def _report(folder):
    """The page, where its library is installed; what it is made of is kept in any case."""
    if find_spec('vl_convert'):
        write_report([folder])
