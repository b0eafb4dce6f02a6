"""The command ``mmscale benchmark``."""

import contextlib
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mmscale import benchmark
from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.errors import UserError
from mmscale.utils.files import check_out

ASIDE = ('rows', 'note')  # keys of a row that are no column of its table


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'benchmark',
        note=f'Models: {", ".join(benchmark.MODELS)}, or any config, by path or name. '
        f'Forms: {", ".join(benchmark.FORMS)}. '
        'How to read the numbers: docs/speed.md.',
    )
    parser.add_argument(
        'cases', nargs='*', metavar='MODEL[:FORM]', help='what to time, in turns; eager by default'
    )
    parser.add_argument(
        '--shape',
        action='append',
        metavar='NxHxW',
        help='images, height and width (16x224x224); several show how cost grows',
    )
    parser.add_argument('--train', action='store_true', help='training steps, not inference')
    parser.add_argument('--memory', action='store_true', help='also peak memory, each on its own')
    parser.add_argument('--profile', action='store_true', help='also the time by operator')
    parser.add_argument(
        '--formats',
        metavar='FORM,...',
        help='try each model in these forms, or in all that compute in float32, and compare the '
        'outputs with those of the first: all, or their names with commas between',
    )
    parser.add_argument('--rounds', type=int, default=9, help='of which the median counts (9)')
    parser.add_argument(
        '--target',
        action='append',
        default=[],
        help='a target of docs/benchmarks/targets.py by name, or all; from a checkout',
    )
    parser.add_argument('--plot', metavar='PNG', help='draw the times of the models')
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.plot or args.profile) and not args.cases:
        parser.error('--plot and --profile are of models: name one or more')
    if args.formats is not None and (args.train or args.memory or args.profile):
        parser.error('--formats goes without --train, --memory and --profile')
    formats = benchmark.EXACT if args.formats == 'all' else (args.formats or '').split(',')
    # The frameworks log to stdout.
    with one_line_errors(), contextlib.redirect_stdout(sys.stderr):
        if not args.cases and not args.target:
            raise UserError('nothing to do: name a model, such as rexnet-100:fused, or a --target')
        if args.plot:
            check_out(args.plot)
        with contextlib.ExitStack() as stack:
            result = benchmark.run(
                [_chosen(case, args.backbone, stack) for case in args.cases],
                args.shape,
                training=args.train,
                memory=args.memory,
                profiles=args.profile,
                rounds=args.rounds,
                formats=() if args.formats is None else formats,
            )
        result['targets'] = _check_targets(args.target, args.rounds) if args.target else []
        if args.plot:
            benchmark.draw(result, args.plot)
    print(json.dumps(result)) if args.json else show(result)


def _chosen(case: str, backbone: Any, stack: contextlib.ExitStack) -> str:
    """A case whose config has the chosen backbone; models that are no configs stay as they are."""
    model, form = benchmark.Case.parse(case)
    config = benchmark.MODELS.get(model, model)
    whole = isinstance(config, str) and not model.startswith('timm-')
    if not backbone or not whole:
        return case
    return f'{stack.enter_context(with_backbone(config, backbone))}:{form}'


def _check_targets(names: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Measure the project's own targets, which a checkout has beside the package."""
    path = Path(__file__).parents[2] / 'docs/benchmarks/targets.py'
    if not path.is_file():
        raise UserError(f'--target: {str(path)!r} is missing; targets come with a checkout alone')
    targets = runpy.run_path(str(path))
    every = [*targets['TARGETS'], *targets['SPECIAL']]
    return [targets['check_target'](name, rounds) for name in (every if 'all' in names else names)]


def show(result: dict[str, Any]) -> None:
    """Print the machine and the tables."""
    console = Console()
    machine = result['machine']
    console.print(
        f'{machine["processor"]}, {machine["threads"]} threads, {machine["gpu"] or "no GPU"}'
    )
    for rows in (result['rows'], result['targets']):
        _print_table(console, rows)
    for profile in result['profiles']:
        _print_table(
            console,
            profile['operators'],
            f'{profile["case"]}, {benchmark.shape_text(profile["shape"])}: '
            f'{profile["ms"]:.0f} ms by the profiler; its convolutions at the ceilings of matrix '
            f'products ({machine["matmul_gflops"]:.0f} GFLOP/s) and copying '
            f'({machine["copy_gbs"]:.0f} GB/s): {profile["convolutions_at_ceilings_ms"]:.0f} ms',
        )


def _print_table(console: Console, rows: list[dict], title: str | None = None) -> None:
    if rows:
        names = [name for name in dict.fromkeys(sum(map(list, rows), [])) if name not in ASIDE]
        table = Table(title=title)
        for name in names:
            table.add_column(name.replace('_', ' '), overflow='fold')
        for row in rows:
            table.add_row(*(_text(row.get(name, '')) for name in names))
        console.print(table)
        for row in rows:
            if row.get('note'):
                console.print(f'{row["case"]}: {row["note"]}', markup=False, highlight=False)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return benchmark.shape_text(value)
    if isinstance(value, float):
        return f'{value:.3g}' if value < 100 else f'{value:.0f}'
    return '' if value is None else str(value)
