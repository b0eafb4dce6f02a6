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
from mmscale.errors import UserError, check_choice
from mmscale.utils.figures import check_figure

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
        'outputs with those of the first: all, or their names with commas between. In the table, '
        'difference is the most by which outputs differ, as a part of the largest value (empty for '
        'a whole detector, whose outputs are not compared), mib the size of the weights or files',
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
    if (args.plot or args.profile or args.backbone) and not args.cases:
        parser.error('--plot, --profile and --backbone are of models: name one or more')
    if args.formats is not None and (args.train or args.memory or args.profile):
        parser.error('--formats goes without --train, --memory and --profile')
    # The frameworks log to stdout.
    with one_line_errors(), contextlib.redirect_stdout(sys.stderr):
        if not args.cases and not args.target:
            raise UserError('nothing to do: name a model, such as rexnet-100:fused, or a --target')
        if args.plot:
            check_figure(args.plot)
        formats = () if args.formats is None else _formats(args.formats)
        with contextlib.ExitStack() as stack:
            cases, names = _chosen(args.cases, args.backbone, stack)
            result = benchmark.run(
                cases,
                args.shape,
                training=args.train,
                memory=args.memory,
                profiles=args.profile,
                rounds=args.rounds,
                formats=formats,
            )
        for row in (*result['rows'], *result['profiles']):
            row['case'] = _named(row['case'], names)
        result['targets'] = _check_targets(args.target, args.rounds) if args.target else []
    print(json.dumps(result)) if args.json else show(result)
    if args.plot:  # last: whatever becomes of it, the numbers are there
        with one_line_errors(), contextlib.redirect_stdout(sys.stderr):
            benchmark.draw(result, args.plot)


def _formats(text: str) -> Sequence[str]:
    """The forms that --formats names."""
    names = [name.strip() for name in text.split(',')]
    if names == ['all']:
        return benchmark.EXACT
    if 'all' in names:
        raise UserError(f"--formats {text!r}: 'all' stands alone; leave it out, or the others")
    for name in names:
        check_choice('--formats', name, ('all', *benchmark.FORMS))
    return names


def _chosen(
    cases: Sequence[str], backbone: Any, stack: contextlib.ExitStack
) -> tuple[list[str], dict[str, str]]:
    """The cases, configs with the chosen backbone, and names for the files of these.

    Models that are no configs stay as they are, beside configs.
    """
    if not backbone:
        return list(cases), {}
    chosen, names = [], {}
    kind, arguments = backbone
    what = ' '.join([kind, *(f'{key}={value}' for key, value in arguments.items())])
    for case in cases:
        model, form = benchmark.Case.parse(case)
        config = benchmark.MODELS.get(model, model)
        if not isinstance(config, str) or model.startswith('timm-'):
            chosen.append(case)
            continue
        path = stack.enter_context(with_backbone(config, backbone))
        names[path] = f'{model} with {what}'
        chosen.append(f'{path}:{form}')
    if not names:
        raise UserError(
            f'--backbone {kind} goes with configs, and {cases[0]!r} is none: give a config, such '
            'as faster_rcnn_rexnet_fpn, or leave --backbone out'
        )
    return chosen, names


def _named(case: str, names: dict[str, str]) -> str:
    """The text of a case with a name in place of a temporary file."""
    model, _, form = case.rpartition(':')
    return f'{names.get(model, model)}:{form}'


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
