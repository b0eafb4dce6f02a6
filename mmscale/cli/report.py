"""The command ``mmscale report``."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.reports.page.writing import write_report


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'report',
        note='A run has a report after: mmscale test CONFIG CHECKPOINT --work-dir WORK_DIR '
        '--report',
    )
    parser.add_argument(
        'work_dirs',
        nargs='+',
        metavar='WORK_DIR',
        help='folder of a run; of two, to see them beside each other',
    )
    parser.add_argument(
        '-o',
        '--out',
        metavar='NAME.html',
        help='the page (report.html in the folder, report-comparison.html for two)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        make_page(args.work_dirs, args.out)


def make_page(work_dirs: Sequence[str | Path], out: str | None = None) -> None:
    """Write the page, with a sign of life on a terminal, and say where it is."""
    with Console(stderr=True).status('The report is being made: a minute for 5,000 pictures'):
        page = write_report(work_dirs, out)
    print(f'Report: {page}')
