"""What a check has found, and what becomes of it before a run."""

import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from mmengine.logging import print_log

from mmscale.errors import UserError, printable, without_secrets

FAULT, WARNING, REPAIRED, NOTE = 'fault', 'warning', 'repaired', 'note'
SHOWN = 3  # examples of a kind
LONG = 200  # characters of a name in a message


class Finding(NamedTuple):
    """One kind of mistake in one file, folder or config, however often it is there.

    Attributes:
        severity (str): 'fault' (no run starts), 'warning' (it starts, something is lost),
            'repaired' (a run mends it by itself) or 'note' (nothing is wrong, but worth knowing).
        kind (str): A short name of the kind, ``box-empty``.
        text (str): How often, where (indices and file names of the first few), what of it.
        remedy (str): What to do.
    """

    severity: str
    kind: str
    text: str
    remedy: str = ''

    def __str__(self) -> str:
        text = f'{self.text}; {self.remedy}' if self.remedy else self.text
        return printable(without_secrets(text))


def settle(findings: Iterable[Finding]) -> None:
    """Say what was found in a line each, and stop at faults.

    Raises:
        UserError: The first fault, and how many more there are.
    """
    findings = list(findings)
    for finding in findings:
        if finding.severity != FAULT:
            level = logging.WARNING if finding.severity == WARNING else logging.INFO
            print_log(str(finding), logger='current', level=level)
    faults = [finding for finding in findings if finding.severity == FAULT]
    if faults:
        more = f'\n(and {len(faults) - 1} more: mmscale check)' if faults[1:] else ''
        raise UserError(f'{faults[0]}{more}')


def first(items: Any, name: str = '') -> str:
    """The first few of some indices or names, as text: ``annotations[3], annotations[8], ...``."""
    shown = [f'{name}[{item}]' if name else f'{item!r:.{LONG}}' for item in items[:SHOWN]]
    return ', '.join([*shown, '...'] if len(items) > SHOWN else shown)


def count(found: Collection[Any], all_of_them: Collection[Any], what: str) -> str:
    """How many of how many: ``3 of 40 boxes``."""
    return f'{len(found)} of {len(all_of_them)} {what}'
