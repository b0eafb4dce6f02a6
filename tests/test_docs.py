"""Every link in the prose leads somewhere: to a file or folder, and to a heading that exists."""

import re

import pytest
from commands import ROOT

FOLDERS = ('configs', 'docs', 'structures', 'tests', 'tools')
PAGES = sorted(
    [*ROOT.glob('*.md'), *(page for folder in FOLDERS for page in (ROOT / folder).rglob('*.md'))]
)
LINK = re.compile(r'\]\(([^()\s]+)\)')


def prose(text):
    """The text without its blocks of code, whose brackets and hashes mean other things."""
    return re.sub(r'^( *)(```|~~~).*?^\1\2$', '', text, flags=re.MULTILINE | re.DOTALL)


def slugs(text):
    """The anchors that GitHub gives to the headings: a second one of the same text ends in -1."""
    found = []
    for heading in re.findall(r'^#{1,6} +(.+?)[ #]*$', prose(text), re.MULTILINE):
        shown = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', heading)  # of a link its text alone
        slug = re.sub(r'[^\w\- ]', '', shown.lower()).replace(' ', '-')
        found.append(f'{slug}-{found.count(slug)}' if slug in found else slug)
    return found


def broken_links(page):
    for link in LINK.findall(prose(page.read_text(encoding='utf-8'))):
        if re.match(r'[a-z]+:', link):  # a page of the web, or a mail address
            continue
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        if not target.exists():
            yield f'{link}: there is no such file'
        elif anchor and (
            target.suffix != '.md' or anchor not in slugs(target.read_text(encoding='utf-8'))
        ):
            yield f'{link}: there is no such heading'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize(
    ('heading', 'slug'),
    [
        ('## On CIFAR-10', 'on-cifar-10'),
        ('## Targets, and what was measured', 'targets-and-what-was-measured'),
        ('# `fuse(model)`: what it does', 'fusemodel-what-it-does'),
        ('## See [the list](list.md)', 'see-the-list'),
        ('## two  spaces_and & signs', 'two--spaces_and--signs'),
    ],
)
def test_slugs_are_githubs(heading, slug):
    assert slugs(f'{heading}\n\n```\n# a comment\n```\n{heading}\n') == [slug, f'{slug}-1']


def test_broken_links_are_found(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# One\n[a](gone.md) [b](page.md#two) [c](#one) ![d](https://x.org/y)\n')
    assert [link.partition(':')[0] for link in broken_links(page)] == ['gone.md', 'page.md#two']


@pytest.mark.parametrize('folder', ['.', 'notes'])
def test_index_lists_every_page(folder):
    index = (ROOT / 'docs/README.md').read_text(encoding='utf-8')
    listed = {(ROOT / 'docs' / link).resolve() for link in LINK.findall(index)}
    pages = {page.resolve() for page in (ROOT / 'docs' / folder).glob('*.md')}
    assert pages - {ROOT / 'docs/README.md', ROOT / 'docs/index.md'} <= listed


def test_notes_and_what_they_are_about_link_to_each_other():
    for note in (ROOT / 'docs/notes').glob('*.md'):
        page = ROOT / 'docs' / note.name
        if page.exists():
            assert f'](../{note.name}' in note.read_text(encoding='utf-8')
            assert f'](notes/{note.name}' in page.read_text(encoding='utf-8')
