"""Looks up the pins of constraints.txt among the published vulnerabilities, by pip-audit.

    python .ci/audit.py [pypi | osv]

Exit status: 0 where every pin was looked up and none is known to be vulnerable, 1 where one is, 3
where pins could not be looked up (no network, or an index without that data): a line says so.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
# In an environment of its own: what it brings is no part of the project.
HOME = ROOT / '.venv/audit'
PROGRAM = 'pip-audit==2.10.1'
QUIET = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
PATIENCE = 120  # seconds for each of the two steps
FOUND, UNKNOWN = 1, 3


class NotLookedUp(Exception):
    """The audit could not be made; the text says why."""


def run(what: str, *command: str) -> str:
    try:
        done = subprocess.run(command, timeout=PATIENCE, **QUIET)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        raise NotLookedUp(f'{what}: no answer for {PATIENCE} s') from None
    if done.returncode not in (0, 1):
        raise NotLookedUp(f'{what}: {last(done.stdout)}')
    return done.stdout


def last(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), 'no output')[:160]


def look_up(pins: Path, service: str) -> list[dict]:
    """Ask pip-audit.

    Args:
        pins (Path): A file of requirements.
        service (str): 'pypi' or 'osv'.

    Returns:
        list[dict]: What it says of each package.

    Raises:
        NotLookedUp: Without an answer.
    """
    python = HOME / 'bin/python'
    program = HOME / 'bin/pip-audit'
    if not program.exists():
        venv.create(HOME, with_pip=True, clear=True)
        output = run('pip', str(python), '-m', 'pip', 'install', '--retries', '1', PROGRAM)
        if not program.exists():
            raise NotLookedUp(f'{PROGRAM} cannot be installed: {last(output)}')
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, 'answer.json')
        options = ['--no-deps', '--disable-pip', '--timeout', '10', '--progress-spinner', 'off']
        options += ['--vulnerability-service', service, '--format', 'json', '--output', str(answer)]
        output = run('pip-audit', str(program), '--requirement', str(pins), *options)
        if not answer.exists():
            raise NotLookedUp(last(output))
        return json.loads(answer.read_text())['dependencies']


def report(packages: list[dict]) -> int:
    """Print what was found.

    Args:
        packages (list[dict]): pip-audit's answer.

    Returns:
        int: The exit status.
    """
    status = 0
    for package in packages:
        for found in package.get('vulns', []):
            status = FOUND
            names = ', '.join([found['id'], *found.get('aliases', [])])
            mended = ', '.join(found.get('fix_versions', [])) or 'no release'
            print(f'{package["name"]} {package["version"]}: {names}; mended in {mended}')
    skipped = [package['name'] for package in packages if 'skip_reason' in package]
    asked = len(packages) - len(skipped)
    print(f'audit: {asked} of {len(packages)} pins were looked up', end='')
    if skipped:
        names = ', '.join(skipped[:5]) + (', ...' if len(skipped) > 5 else '')
        print(f'; the index has no such data on {names}')
        return status or UNKNOWN
    print('')
    return status


def main(argv: list[str]) -> int:
    try:
        return report(look_up(ROOT / 'constraints.txt', argv[0] if argv else 'pypi'))
    except NotLookedUp as error:
        print(f'audit: no pin was looked up: {error}')
        return UNKNOWN


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
