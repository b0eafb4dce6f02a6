"""What docs/backbones.md and docs/faq.md say about the code is what the code says."""

import ast
import re
from inspect import signature

import pytest
from commands import ROOT

import mmscale
from mmscale.families import BACKBONES

OPTIONS = (ROOT / 'docs/backbones.md').read_text(encoding='utf-8')
FAQ = (ROOT / 'docs/faq.md').read_text(encoding='utf-8')
# The headings, or the lines before the tables, under which the options of a class stand.
TABLES = {
    'ReXNet': ('## Options of all', '## ReXNet'),
    'ReXNetLite': ('## Options of all', '## ReXNet'),
    'ScaleNet': ('## Options of all', '## ScaleNet'),
    'SANResNet': ('## Options of all', 'Of both classes:', 'Of `SANResNet`:'),
    'SANMobileNetV2': ('## Options of all', 'Of both classes:'),
}


def options(place):
    """Names and defaults in the first table after a line."""
    table = OPTIONS.partition(f'\n{place}\n')[2].partition('| option |')[2].partition('\n\n')[0]
    rows = re.findall(r'^\| `(\w+)` \| `(.+?)` \|', table, re.MULTILINE)
    assert rows, place
    return {name: ast.literal_eval(default) for name, default in rows}


@pytest.mark.parametrize('name', BACKBONES)
def test_options_are_those_of_the_constructor(name):
    written = {key: value for place in TABLES[name] for key, value in options(place).items()}
    given = signature(getattr(mmscale, name)).parameters
    assert written == {key: parameter.default for key, parameter in given.items()}


def test_examples_of_the_backbones_run():
    blocks = re.findall(r'```python\n(.*?)```', OPTIONS, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, {})
