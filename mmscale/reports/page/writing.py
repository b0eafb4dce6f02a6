"""The page itself: one HTML file that needs no network and runs no script but its own.

Everything that comes from data passes through Jinja's escaping; charts read their data from JSON
blocks in which ``<``, ``>`` and ``&`` are written out. A content security policy in the page names
its two scripts by their hashes, so that a browser runs no other, and allows no address at all.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2

from mmscale.errors import UserError
from mmscale.reports.kept import Kept, read_kept
from mmscale.reports.page import classifier, detector, segmentor
from mmscale.reports.page.common import Run
from mmscale.utils.environment import require_optional
from mmscale.utils.files import check_out, written_aside
from mmscale.version import __version__

NAME = 'report.html'
MOST = 2  # runs in a page
TASKS: dict[str, Any] = {
    'detector': detector,
    'classifier': classifier,
    'segmentor': segmentor,
}
FOLDER = Path(__file__).parent
# What of Vega the page's own script needs.
LIBRARIES = 'window.vegaEmbed = vegaEmbed;'


def write_report(work_dirs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the page of a run's last test, or of two runs' beside each other.

    Args:
        work_dirs (Sequence[str | Path]): One or two folders of runs that were tested with
            ``mmscale test --report``.
        out (str | Path, optional): The HTML file. Default: ``report.html`` in the first folder,
            ``report-comparison.html`` for two.

    Returns:
        Path: `out`.

    Raises:
        UserError: If a run has no test that was kept, two are of different tasks, `out` cannot be
            written, or the library of the charts is not installed.
    """
    if not 1 <= len(work_dirs) <= MOST:
        raise UserError(f'a report is of one run or of two, not of {len(work_dirs)}')
    kept = [read_kept(work_dir) for work_dir in work_dirs]
    tasks = [one.task for one in kept]
    if len(set(tasks)) > 1:
        raise UserError(
            f'{str(work_dirs[0])!r} is a {tasks[0]} and {str(work_dirs[1])!r} a {tasks[1]}: only '
            'runs of one task have a report together'
        )
    scripts = [_vega(), (FOLDER / 'page.js').read_text(encoding='utf-8')]
    default = NAME if len(kept) == 1 else 'report-comparison.html'
    out = check_out(out or kept[0].work_dir / default, ('.html',))
    page = TASKS[tasks[0]]
    runs = [Run(name, one, page.study(one)) for name, one in zip(_names(kept), kept)]
    text = _template().render(
        title=' and '.join(run.name for run in runs),
        task=tasks[0],
        when=' and '.join(str(one.record.get('when', '')) for one in kept),
        sections=list(page.sections(runs)),
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        style=(FOLDER / 'page.css').read_text(encoding='utf-8'),
        version=__version__,
    )
    with written_aside(out) as temporary:
        # Names may have bytes that are no UTF-8: a browser shows them as JSON's escapes.
        temporary.write_text(text, encoding='utf-8', errors='backslashreplace')
    return out


def _names(kept: Sequence[Kept]) -> list[str]:
    """What tells the runs apart: their folders' names, or their paths."""
    names = [one.work_dir.resolve().name for one in kept]
    if len(set(names)) < len(names):
        names = [str(one.work_dir) for one in kept]
    if len(set(names)) < len(names):
        names = [f'{name} ({place})' for place, name in enumerate(names, 1)]
    return names


def check_charts() -> Any:
    """The library that has the charts' scripts.

    Raises:
        UserError: If it is not installed.
    """
    return require_optional('vl_convert', 'a report')


@lru_cache(1)
def _vega():
    """Vega, Vega-Lite and vega-embed as one script, which takes seconds to put together."""
    return check_charts().javascript_bundle(LIBRARIES)


def _hash(script):
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _template():
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals['vega'] = metadata.version('vl-convert-python')
    return environment.get_template('page.html')
