"""Writes docs/licences.md: what is asked for, with its licence, as the installed metadata say.

Packages of constraints.txt that are not installed here (some are for one version of Python only)
keep the line that they have.
"""

import re
import runpy
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from unittest import mock

import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / 'docs/licences.md'
LINE = re.compile(r'^\| (?!package )([a-z0-9-]+) \| (.+) \| (.+) \|$', re.MULTILINE)
GROUPS = (
    'onedl',
    'onedl-seg',
    'onedl-rotate',
    'export',
    'fast-eval',
    'completion',
    'supervision',
    'report',
    'docs',
    'dev',
)  # the extras of setup.py, in this order
OTHERWISE = 'set-up or Python 3.10'

# Names that say the same, and what a text without a name begins with.
NAMES = {
    r'(OSI Approved :: )?(LicenseRef-)?Apache([ -]Software License| 2\.0|-2\.0)': 'Apache-2.0',
    r'MIT License': 'MIT',
    r'BSD License|BSD': 'BSD',
    r'(BSD 3-Clause|3-Clause BSD)( License)?': 'BSD-3-Clause',
    r'FreeBSD': 'BSD-2-Clause',
    r'Mozilla Public License 2\.0 \(MPL 2\.0\)': 'MPL-2.0',
    r'Python Software Foundation License': 'PSF-2.0',
    r'NVIDIA Proprietary Software|LicenseRef-NVIDIA-Proprietary': "NVIDIA's own, not open",
    r'Other/Proprietary License': "the maker's own, not open",
}
TEXTS = {'Apache License': 'Apache-2.0', 'Permission is hereby granted, free': 'MIT'}
NOT_STATED = 'not stated in its metadata'
NOTHING = ('', 'UNKNOWN', 'Dual License')

HEADER = """# Licences of the dependencies

mmscale itself is under the [Apache License 2.0](../LICENSE). A wheel of it holds no code of others.
What it asks for is installed beside it, from its own makers, under these licences.
`make licences` writes this page from the metadata of what is installed, in the versions of
[`constraints.txt`](../constraints.txt); `pytest tests/test_supply.py` compares it. The makers' own
texts decide.

"Needed for" is the first that asks for it: `mmscale`, one of its extras in `setup.py`, or else the
set-up or Python 3.10. What `mmscale[docs]`, `mmscale[dev]` and the set-up alone need never runs
with a model. torch brings NVIDIA's packages for GPUs on Linux; a torch for CPUs does without.

| package | licence | needed for |
|---|---|---|
"""


def installed(name: str) -> Distribution | None:
    """A distribution, or None where it is not installed."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def applying(requirements: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Those requirements that this Python and machine need.

    Args:
        requirements (Iterable[str]): With their markers.
        extras (Iterable[str]): Asked for.
    """
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if not marker or any(marker.evaluate({'extra': extra}) for extra in ('', *extras)):
            yield requirement


def closure(requirements: Iterable[Requirement]) -> dict[str, set[str]]:
    """Everything installed that these requirements bring.

    Args:
        requirements (Iterable[Requirement]): The first of them.

    Returns:
        dict[str, set[str]]: What each package asks for itself, by name.
    """
    found: dict[str, set[str]] = {}
    seen = set()
    waiting = list(requirements)
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        extras = frozenset(asked.extras)
        package = installed(name)
        if package is None or (name, extras) in seen:
            continue
        seen.add((name, extras))
        own = list(applying(package.requires or [], extras))
        needs = {canonicalize_name(r.name) for r in own}
        found.setdefault(name, set()).update(n for n in needs if installed(n))
        waiting += own
    return found


def licence(package: Distribution) -> str:
    """The licence of an installed package, by its SPDX name where that is clear."""
    metadata: Any = package.metadata
    expression = metadata.get('License-Expression')
    stated = (metadata.get('License') or '').strip()
    classes = [c for c in metadata.get_all('Classifier') or [] if c.startswith('License ::')]
    if expression:
        return _named(expression)
    if stated not in NOTHING and '\n' not in stated and len(stated) < 60:
        return _named(stated)
    if classes:
        return ' or '.join(sorted(_named(c.split(' :: ')[-1]) for c in classes))
    texts = [stated] + [
        file.read_text() for file in package.files or [] if 'licenses/LICENSE' in file.as_posix()
    ]
    for text in texts:
        for beginning, name in TEXTS.items():
            if beginning in text:
                return name
    return NOT_STATED


def _named(stated):
    for pattern, name in NAMES.items():
        if re.fullmatch(pattern, stated):
            return name
    return stated


def asked_for() -> dict[str, list[Requirement]]:
    """What setup.py asks for, by the extra that does."""
    given: dict[str, Any] = {}
    with mock.patch.object(setuptools, 'setup', given.update):
        runpy.run_path(str(ROOT / 'setup.py'))
    groups = {'mmscale': given['install_requires']}
    groups.update({f'mmscale[{extra}]': given['extras_require'][extra] for extra in GROUPS})
    return {group: list(applying(requirements)) for group, requirements in groups.items()}


def pinned() -> list[str]:
    """The names in constraints.txt."""
    return re.findall(r'^([a-z0-9-]+)==', (ROOT / 'constraints.txt').read_text(), re.MULTILINE)


def lines() -> dict[str, tuple[str, str]]:
    """Licence and reason of each package: those on the page, renewed by what is installed."""
    page = PAGE.read_text(encoding='utf-8') if PAGE.exists() else ''
    before = {name: (terms, reason) for name, terms, reason in LINE.findall(page)}
    reasons: dict[str, str] = {}
    for group, requirements in asked_for().items():
        for name in closure(requirements):
            reasons.setdefault(name, group)
    pins = pinned()
    # The packages for GPUs come with some builds of torch only, and have no pins.
    kept = {name for name in before if name.startswith(('cuda-', 'nvidia-', 'triton'))}
    found = {}
    for name in sorted({*reasons, *pins, *kept}):
        package = installed(name)
        if package is None:
            found[name] = before.get(name, (NOT_STATED, OTHERWISE))
        else:
            known = before.get(name, ('', OTHERWISE))[1]
            found[name] = (licence(package), reasons.get(name, known))
    return found


def main() -> None:
    rows = [f'| {name} | {terms} | {reason} |' for name, (terms, reason) in lines().items()]
    PAGE.write_text(HEADER + '\n'.join(rows) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
