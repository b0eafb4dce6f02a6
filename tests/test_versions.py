"""The page of versions is what the script writes, and the script says why pip refused."""

import runpy

import pytest
from commands import ROOT

VERSIONS = runpy.run_path(str(ROOT / '.ci/versions.py'))


def test_page_is_what_the_script_writes():
    assert VERSIONS['PAGE'].read_text(encoding='utf-8') == VERSIONS['page']()


def test_only_cells_have_results_in_their_order():
    tried = VERSIONS['results']()
    assert list(tried) == [name for name in VERSIONS['CELLS'] if name in tried]


def test_page_has_a_row_for_every_cell():
    rows = [line for line in VERSIONS['page']().splitlines() if line.startswith('| 3.')]
    assert len(rows) == len(VERSIONS['CELLS'])
    assert sum('not tried yet' in row for row in rows) == len(rows) - len(VERSIONS['results']())


CONFLICT = """
ERROR: Cannot install mmscale and torch==2.0.1 because these have conflicting dependencies.

The conflict is caused by:
    The user requested torch==2.0.1
    mmscale 0.1.0 depends on torch>=2.1
    mmscale[onedl] @ file:///tmp/mmscale.tar.gz 0.1.0 depends on torch>=2.1
    mmscale[onedl] 0.1.0 depends on torch>=2.3; extra == "onedl"

To fix this you could try to:
ERROR: ResolutionImpossible: for help visit a page
"""


@pytest.mark.parametrize(
    ('output', 'line'),
    [
        (
            CONFLICT,
            'asked for torch==2.0.1; mmscale 0.1.0 depends on torch>=2.1; '
            'mmscale 0.1.0 depends on torch>=2.3',
        ),
        (
            'ERROR: Could not find a version of a==1 (from versions: 2, 3)\n'
            'ERROR: No matching distribution found for a==1\n\n[notice] a new pip\n',
            'No matching distribution found for a==1',
        ),
        ('Killed\n\n', 'Killed'),
    ],
    ids=['a conflict', 'no such version', 'anything else'],
)
def test_refusals_of_pip_are_one_line(output, line):
    assert VERSIONS['refusal'](output) == line


@pytest.mark.parametrize(
    ('output', 'word'),
    [('error: no such folder', 'refused'), ('Traceback (most recent ...\nKeyError: 1', 'fails')],
)
def test_what_fails_is_told_from_what_is_refused(tmp_path, monkeypatch, capsys, output, word):
    command = ['python3', '-c', 'import sys; sys.exit(sys.argv[1])', output]
    monkeypatch.setitem(VERSIONS['check'].__globals__, 'COMMANDS', {'train': command})
    with pytest.raises(Exception, match=f'train: {word}: '):
        VERSIONS['check'](tmp_path)
