"""The command ``mmscale completion``."""

import argparse
from collections.abc import Sequence
from importlib import import_module

from mmscale.cli import COMMANDS
from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.engine.shipped import shipped_configs
from mmscale.utils.environment import require_optional

SHELLS = ('bash', 'zsh', 'tcsh')
# Arguments that are files as a rule.
FILES = ('checkpoint', 'weights', 'pictures', 'out', 'target', 'files', 'source', 'plot', 'images')
# What completes a config: files, and the names that come with the package.
BASH = """
_mmscale_configs() {{
  compgen -f -- "$1"
  compgen -W '{names}' -- "$1"
}}
"""
ZSH = """
_mmscale_configs() {{
  _alternative 'files:file:_files' 'configs:config:({names})'
}}
"""


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'completion', note='Where the script belongs: as the examples say, then open a new shell.'
    )
    parser.add_argument('shell', choices=SHELLS)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        print(script(args.shell))


def script(shell: str) -> str:
    """What completes commands, options, choices, files and configs in a shell.

    Raises:
        UserError: If shtab is not installed.
    """
    shtab = require_optional('shtab', 'mmscale completion')
    whole = argparse.ArgumentParser(prog='mmscale')
    commands = whole.add_subparsers(dest='command')
    for name, text in COMMANDS.items():
        module = import_module(f'mmscale.cli.{name.replace("-", "_")}')
        parser = module.build_parser()
        for action in parser._actions:
            if action.dest == 'config':
                action.complete = {'bash': '_mmscale_configs', 'zsh': '_mmscale_configs'}
            elif action.dest in FILES and not action.choices:
                action.complete = shtab.FILE
        # argparse makes its own of a command: the one that is there takes its place.
        commands.add_parser(name, help=text, add_help=False)
        commands.choices[name] = parser
    names = ' '.join(config.name for config in shipped_configs())
    preamble = {'bash': BASH.format(names=names), 'zsh': ZSH.format(names=names)}
    return shtab.complete(whole, shell, preamble=preamble)
