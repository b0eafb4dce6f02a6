"""The site of docs/: made without a warning, whole, and readable without a network."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from commands import ROOT

import mmscale

pytest.importorskip('sphinx', reason="the site needs Sphinx: pip install '.[docs]'")

DOCS = ROOT / 'docs'
PAGES = {
    path.relative_to(DOCS).with_suffix('').as_posix()
    for pattern in ('*.md', '*.rst')
    for path in DOCS.rglob(pattern)
    if '_build' not in path.parts
} - {'README'}  # the index includes it
# What makes the site must not need what only some users have.
OPTIONAL = ('mmdet', 'mmpretrain', 'mmrotate', 'mmseg', 'nncf', 'onnx', 'openvino', 'supervision')
BUILD = f"""
import json, sys
from sphinx.cmd.build import main
status = main(['-q', '-W', '--keep-going', '-b', 'html', *sys.argv[1:]])
print(json.dumps([name for name in {OPTIONAL} if name in sys.modules]))
sys.exit(status)
"""


def build(source, out):
    """The site of a folder: the finished process."""
    return subprocess.run(
        [sys.executable, '-c', BUILD, str(source), str(out)],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.ids = [], [], set()
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get('id'))
        if 'href' in given:
            (self.loaded if tag == 'link' else self.links).append(given['href'])
        if 'src' in given:
            self.loaded.append(given['src'])


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    done = build(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.fixture(scope='module')
def site(made):
    return made[0]


@pytest.fixture(scope='module')
def pages(site):
    return {path: Page(path) for path in site.rglob('*.html')}


def test_every_page_is_made_and_in_the_navigation(site, pages):
    assert len(PAGES) > 30
    assert {name for name in PAGES if (site / f'{name}.html').is_file()} == PAGES
    tree = re.search(
        r'<div class="sidebar-tree">.*?</div>', (site / 'index.html').read_text('utf-8'), re.DOTALL
    )[0]
    listed = set(re.findall(r'class="reference internal" href="([^"#]+)\.html"', tree))
    assert listed == PAGES - {'index'}


def test_links_lead_somewhere_and_nothing_is_fetched(site, pages):
    broken, fetched = [], []
    for path, page in pages.items():
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme == 'data':
                continue
            if parts.scheme or parts.netloc:
                fetched += [(path.name, address)] if address in page.loaded else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = {'', *(pages[target].ids if target in pages else ())}
            inside = target.is_file() and target.is_relative_to(site)
            if not inside or unquote(parts.fragment) not in anchors:
                broken.append((path.name, address))
    assert broken == []
    assert fetched == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def public_face():
    """Every class and function that the package offers, and that docs/commands.md names."""
    yield from (f'mmscale.{name}' for name in {*mmscale.__all__, *mmscale.LATER})
    for name in ('adapting', 'beginning', 'benchmark', 'checkpoints', 'deploy', 'export'):
        package = importlib.import_module(f'mmscale.{name}')
        offered = [known for known in package.__all__ if callable(getattr(package, known))]
        yield from (f'mmscale.{name}.{known}' for known in offered)
    text = (DOCS / 'commands.md').read_text(encoding='utf-8')
    for call, module in re.findall(r'`(\w+)\([^`]*\)` of `(mmscale[\w.]+)`', text):
        yield f'{module}.{call}'


def test_the_public_face_is_on_pages(site):
    inventory = (site / 'objects.inv').read_bytes().split(b'\n', 4)[4]
    described = {line.split(' ')[0] for line in zlib.decompress(inventory).decode().splitlines()}
    wanted = set(public_face())
    assert {'mmscale.load', 'mmscale.deploy.fuse', 'mmscale.engine.training.train'} <= wanted
    # One of them is the same function under two names.
    assert wanted - described <= {'mmscale.adapting.adapt'}


def test_signatures_have_annotations(site):
    text = (site / 'api/mmscale.html').read_text(encoding='utf-8')
    shown = re.sub(r'<[^>]+>', '', re.search(r'id="mmscale\.create">.*?</dt>', text, re.DOTALL)[0])
    assert re.search(r'pretrained:\s*bool\s*\|\s*str\s*=\s*False', shown)
    assert 'Backbone' in shown


def test_search_finds_pages(site):
    index = (site / 'searchindex.js').read_text(encoding='utf-8')
    assert index.startswith('Search.setIndex(')
    content = json.loads(index.removeprefix('Search.setIndex(').rstrip().removesuffix(')'))
    assert set(content['docnames']) == PAGES
    assert content['docnames'].index('allocation') in content['titleterms']['neuron']


def test_nothing_optional_is_imported(made):
    assert made[1] == []


def small(root, text):
    """A folder with the site's settings and one page."""
    (root / 'mmscale').mkdir()
    shutil.copy(ROOT / 'mmscale/version.py', root / 'mmscale')
    (root / 'configs/nets').mkdir(parents=True)
    (root / 'configs/one.py').touch()
    (root / 'SECURITY.md').write_text('# Security\n')
    (root / 'docs/project').mkdir(parents=True)
    (root / 'docs/_static').mkdir()
    for name in ('conf.py', 'project/security.md', '_static/site.css'):
        shutil.copy(DOCS / name, root / 'docs' / name)
    (root / 'docs/README.md').write_text(text)
    (root / 'docs/index.md').write_text(
        '```{include} README.md\n```\n\n```{toctree}\n:hidden:\n\nproject/security\n```\n'
    )
    return build(root / 'docs', root / 'out')


def test_links_out_of_the_folder_say_where_things_are(tmp_path):
    links = (
        '[S](../SECURITY.md#security) [one](../configs/one.py) [`configs/nets`](../configs/nets)'
    )
    done = small(tmp_path, f'# Index\n\n{links} [nets](../configs/nets) [here](README.md)\n')
    assert done.returncode == 0, done.stderr
    text = (tmp_path / 'out/index.html').read_text(encoding='utf-8')
    assert re.search(r'href="project/security.html#security"[^>]*><span[^>]*>S</span>', text)
    (handed,) = re.findall(r'href="(_downloads/\w+/one.py)"', text)
    assert (tmp_path / 'out' / handed).is_file()
    assert 'configs/nets"' not in text
    assert text.count('<span class="pre">configs/nets</span>') == 2


def test_links_that_lead_nowhere_end_the_build(tmp_path):
    links = ('gone.md', '../configs/gone.py', '#gone', 'README.md#gone-too')
    done = small(tmp_path, '# Index\n\n' + ' '.join(f'[a link]({link})' for link in links))
    assert done.returncode != 0
    assert [
        link for link in ('gone.md', 'gone.py', "'gone'", 'gone-too') if link not in done.stderr
    ] == []
    assert done.stderr.count('WARNING') == len(links)
