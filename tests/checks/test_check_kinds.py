"""The page of kinds says what there is: each kind of the code is on it, and each is tried."""

import ast
import re

from commands import ROOT

PAGE = ROOT / 'docs/checks.md'
ROW = re.compile(r'^\| `([\w-]+)` \| (\w+(?: or \w+)?) \|', re.MULTILINE)
KIND = re.compile(r'[a-z0-9]+(-[a-z0-9_]+)+')


def calls():
    """Every `Finding(severity, kind, ...)` of the package, with the tree of its module."""
    for path in sorted((ROOT / 'mmscale').rglob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'Finding':
                yield tree, *node.args[:2]


def texts(node):
    """The texts in an expression; what is put into them is any text."""
    if isinstance(node, ast.JoinedStr):
        yield ''.join(getattr(part, 'value', None) or '.+' for part in map(literal, node.values))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))


def literal(part):
    return part if isinstance(part, ast.Constant) else None


def keys(tree):
    """The kinds among the keys of a module's dicts."""
    for node in ast.walk(tree):
        for key in node.keys if isinstance(node, ast.Dict) else ():
            yield from (text for text in texts(key) if KIND.fullmatch(text))


def raised():
    """The kinds of the code, as patterns, with the names of their severities."""
    found = {}
    for tree, severity, kind in calls():
        names = {node.id.lower() for node in ast.walk(severity) if isinstance(node, ast.Name)}
        kinds = keys(tree) if isinstance(kind, ast.Name) else texts(kind)
        for text in kinds:
            found.setdefault(text, set()).update(names - {'asked_for', 'warm'})
    return found


def listed():
    return dict(ROW.findall(PAGE.read_text(encoding='utf-8')))


def tried():
    """Every text in the tests of the checks that may be a kind."""
    folders = ('checks', 'engine', 'beginning')
    paths = [path for name in folders for path in (ROOT / 'tests' / name).glob('*.py')]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            yield from texts(node)


def fits(pattern, kind):
    return re.fullmatch(pattern, kind) is not None


def test_every_kind_of_the_code_is_on_the_page_and_no_other():
    patterns, kinds = raised(), listed()
    assert [p for p in patterns if not any(fits(p, kind) for kind in kinds)] == []
    assert [kind for kind in kinds if not any(fits(p, kind) for p in patterns)] == []


def test_the_severities_are_those_of_the_code():
    patterns = raised()
    for kind, said in listed().items():
        exact = {kind: patterns[kind]} if kind in patterns else patterns
        known = set().union(*(names for p, names in exact.items() if fits(p, kind)))
        assert set(said.split(' or ')) <= known, kind


def test_every_kind_is_tried():
    # Words in capitals stand for any.
    texts = set(tried())
    asked = {kind: re.sub('[A-Z]+', '[a-z_]+', kind) for kind in listed()}
    assert [kind for kind, p in asked.items() if not any(fits(p, text) for text in texts)] == []


def test_there_are_many():
    kinds = listed()
    assert sum(said != 'note' for said in kinds.values()) >= 80
    assert f'{len(kinds)} kinds' in PAGE.read_text(encoding='utf-8')
