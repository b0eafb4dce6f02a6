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
README = (ROOT / 'README.md').read_text(encoding='utf-8')
README_TABLE = re.compile(r'^(\| (?:ReXNet|ScaleNet|SAN|\*ResNet).*)$', re.MULTILINE)
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


def texts():
    """Every text in the package's code; what an f-string puts in parts it."""
    for path in (ROOT / 'mmscale').rglob('*.py'):
        if '.mim' not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield ' '.join(node.value.split())


def said(page):
    """What "mmscale says" on a page, in the parts that dots leave."""
    for message in re.findall(r'mmscale\s+says:\s+`(.+?)`', page, re.DOTALL):
        yield from (part.strip() for part in ' '.join(message.split()).split('...') if part.strip())


def test_quoted_messages_are_in_the_code():
    known = list(texts())
    quoted = list(said(FAQ))
    assert len(quoted) >= 15
    assert [part for part in quoted if not any(part in text for text in known)] == []


def test_kinds_of_mistakes_that_the_faq_names_are_in_the_list():
    listed = (ROOT / 'docs/checks.md').read_text(encoding='utf-8')
    names = re.findall(r'`((?:classes|head|box)-[a-z]+)`', FAQ)
    assert names
    assert all(f'| `{name}` |' in listed for name in names)
    assert re.search(r'\[(\d+) kinds', FAQ)[1] == re.search(r'The (\d+) kinds', listed)[1]


def test_readme_has_the_numbers_of_the_zoo():
    zoo, rows = (ROOT / 'docs/zoo.md').read_text(encoding='utf-8'), README_TABLE.findall(README)
    assert len(rows) == 6
    for row in rows:
        label, *cells = (cell.strip(' *') for cell in row.strip('|').split('|'))
        ours = ' '.join(line for line in zoo.splitlines() if line.startswith(f'| {label} '))
        assert any(cells)
        for cell in filter(None, cells):
            assert f'{cell}' in ours, (label, cell)


def test_readme_counts_the_networks_of_the_zoo():
    zoo = (ROOT / 'docs/zoo.md').read_text(encoding='utf-8')
    table = zoo.partition('## Networks')[2].partition('## Classifiers')[0]
    number = len(re.findall(r'^\| ', table, re.MULTILINE)) - 2  # titles and line
    assert f'All {number} networks' in README
