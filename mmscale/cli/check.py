"""The command ``mmscale check``."""

import contextlib
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmscale.beginning.layouts import CONVERTED, layouts_of, set_around
from mmscale.checks.findings import FAULT, NOTE, REPAIRED, WARNING, Finding
from mmscale.checks.reading import uncollected
from mmscale.checks.targets import find_in_file, find_in_tree
from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, add_overrides
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import find_config, load_config
from mmscale.errors import UserError, printable, without_secrets
from mmscale.utils.logs import quiet_imports
from mmscale.utils.words import counted

CLEAN, FAULTY, CANNOT_TELL = 0, 1, 2
PLURALS = {REPAIRED: REPAIRED}


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'check',
        note='Exit status: 0 nothing to mend, 1 faults or warnings, 2 cannot tell.',
    )
    parser.add_argument('target', help='a config, an annotation file, or the folder of a data set')
    parser.add_argument('--deep', action='store_true', help='decode every pixel of every picture')
    parser.add_argument('--pictures', type=Path, help="where an annotation file's pictures are")
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')
    add_overrides(parser, 'override settings of a config')
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    # The frameworks log to stdout.
    with contextlib.redirect_stdout(sys.stderr), quiet_imports():
        try:
            with uncollected():
                found = _examine(args)
        except (OSError, UserError) as error:  # no such file, an unreadable folder
            found = None
            reason = printable(without_secrets(str(error)))
    if found is None:
        status, found = CANNOT_TELL, []
        print(f'mmscale check: {reason}', file=sys.stderr)
    else:
        status = FAULTY if any(f.severity in (FAULT, WARNING) for f in found) else CLEAN
        reason = ''
    print(
        _as_json(args.target, status, found, reason)
        if args.json
        else _report(args.target, status, found)
    )
    if status:
        sys.exit(status)


def _examine(args) -> list[Finding]:
    path = Path(args.target)
    found: Iterable[Finding] | None
    if os.path.isdir(path):
        _check_options(args, 'a folder')
        found = _in_folder(path, args.deep)
    elif os.path.isfile(path) and path.suffix != '.py':
        if path.suffix.lower() != '.json':
            _check_converted(path, {})
            raise UserError(f'{str(path)!r} is neither a config (.py) nor a .json file')
        _check_options(args, 'an annotation file', pictures=True)
        if args.pictures and not args.pictures.is_dir():
            raise UserError(f'--pictures {str(args.pictures)!r}: there is no such folder')
        found = find_in_file(path, folder=args.pictures, deep=args.deep)
    else:
        _check_options(args, 'a config', config=True)
        found = _in_config(args)
    return list(dict.fromkeys(found or ()))


def _check_options(args, what, *, pictures=False, config=False):
    """An option that would change nothing was meant for another target."""
    given = {'--pictures': args.pictures and not pictures}
    given |= {'--cfg-options': args.overrides and not config}
    given |= {'--backbone': args.backbone and not config}
    for option, useless in given.items():
        if useless:
            raise UserError(f'{args.target!r} is {what}: {option} says nothing of it')


def _in_folder(path: Path, deep: bool) -> Iterable[Finding]:
    layouts = layouts_of(path)
    others = {name: layouts[name] for name in CONVERTED if name in layouts}
    if 'coco' not in layouts:
        _check_converted(path, others)
    found = find_in_tree(path, deep=deep)
    if found is None:
        raise UserError(
            f"folder {str(path)!r} has neither COCO's annotation files (*.json, or in a folder of "
            'it) nor class folders with pictures'
        )
    yield from found
    for name, told in others.items():
        yield Finding(
            NOTE,
            'layout-other',
            f'{str(path)!r} is {told} too, whose labels were not looked at',
            f'if they are meant: mmscale new {shlex.quote(str(path))} --layout {name} -o NAME.py',
        )


def _check_converted(path: Path, layouts: Mapping[str, str]) -> None:
    """Raises UserError for a part of a set that has to be converted first, or for a whole one.

    Args:
        path (Path): A file or folder.
        layouts (dict[str, str]): Those that it has itself, as :func:`layouts_of` tells them.
    """
    around = set_around(path)
    if around or layouts:
        root, told = around or (path, ' and '.join(layouts.values()))
        option = f' --layout {next(iter(layouts))}' if len(layouts) > 1 else ''
        raise UserError(
            f'folder {str(root)!r} is {told}, which is converted first: '
            f'mmscale new {shlex.quote(str(root))}{option} -o NAME.py; then mmscale check NAME.py'
        )


def _in_config(args) -> Iterable[Finding]:
    if '::' not in args.target:
        try:
            find_config(args.target)
        except UserError as error:
            raise UserError(f'there is no file or folder of that name; {error}') from error
    try:
        with with_backbone(args.target, args.backbone) as config:
            cfg = load_config(config, args.overrides)
            return list(find_in_run(cfg, ('train', 'val', 'test'), deep=args.deep, every=True))
    except UserError as error:
        return [Finding(FAULT, 'config', str(error))]


def _as_json(target, status, found, reason):
    rows = [
        {key: without_secrets(text) for key, text in finding._asdict().items()} for finding in found
    ]
    return json.dumps(
        dict(
            target=without_secrets(str(target)),
            status=status,
            reason=reason,
            findings=[row for row in rows if row['severity'] != NOTE],
            notes=[row for row in rows if row['severity'] == NOTE],
        )
    )


def _report(target, status, found):
    order = (FAULT, WARNING, REPAIRED, NOTE)
    found = sorted(found, key=lambda finding: order.index(finding.severity))
    lines = [f'{f.severity:<9}{f.kind:<26} {f}' for f in found]
    counts = Counter(finding.severity for finding in found)
    said = ', '.join(counted(counts[s], s, PLURALS.get(s, '')) for s in order if counts[s])
    word = {CLEAN: 'clean', FAULTY: 'to be mended', CANNOT_TELL: 'cannot tell'}[status]
    target = printable(without_secrets(str(target)))
    return '\n'.join([*lines, f'{target}: {word}' + (f' ({said})' if said else '')])
