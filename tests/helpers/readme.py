"""The README's table of networks."""

import re

from commands import ROOT


def readme_table():
    """Rows of the README's table of networks, each a dict from its column's title to its cell."""
    lines = (ROOT / 'README.md').read_text(encoding='utf-8').splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith('| backbone |'))
    rows = []
    for line in lines[first:]:
        if not line.startswith('|'):
            break
        rows.append([cell.strip(' *') for cell in line.strip('|').split('|')])
    titles, _, *rows = rows
    return [dict(zip(titles, row, strict=True)) for row in rows]


def config_name(label):
    """How configs call a network of the table: 'ReXNet-lite 1.3' is rexnet-lite-130."""
    if label == 'ResNet-50 (mmdet)':
        return 'r50'
    return re.sub(r'(\d)\.(\d)$', r'\1\g<2>0', label).lower().replace(' ', '-')
