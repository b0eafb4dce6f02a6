"""How Sphinx makes the site of these pages: ``make docs``. Nothing is fetched, here or by a reader.

The Markdown pages are written for GitHub as much as for the site: their links are relative paths in
the repository. Links between pages Sphinx follows by itself; the rest is what `link` below is for.
"""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))  # for the API's pages; the commands of `make` run without it too

project = 'mmscale'
author = 'the authors of mmscale'
copyright = 'the authors of mmscale; Apache License 2.0'
release = re.search(r"'(.+)'", (ROOT / 'mmscale/version.py').read_text(encoding='utf-8')).group(1)
version = release

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build', 'README.md', 'runs', 'benchmarks']

# Pages that stand elsewhere in the repository, by the page here that includes them.
INCLUDED = {
    'index': DOCS / 'README.md',
    'project/readme': ROOT / 'README.md',
    'project/changelog': ROOT / 'CHANGELOG.md',
    'project/contributing': ROOT / 'CONTRIBUTING.md',
    'project/security': ROOT / 'SECURITY.md',
    'project/releasing': ROOT / 'RELEASING.md',
}

myst_heading_anchors = 4  # with GitHub's names

html_theme = 'furo'
html_title = f'mmscale {release}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_show_sphinx = False
highlight_language = 'none'

# Every name of this package that a docstring refers to has to be on a page. Other packages' pages
# are not looked up, for which Sphinx would need a network.
nitpicky = True
INNER = r'adapting\.observing|beginning\.layouts|checkpoints\.stems|deploy\.folding|engine\.keeping'
nitpick_ignore_regex = [
    ('py:.*', r'(?!mmscale\b).*'),
    ('py:.*', rf'mmscale\.({INNER}|inference\.drawing)\b.*'),  # no part of the public face
]

autodoc_default_options = {'members': True}
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = 'hide'
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# `sphinx-build -b linkcheck`, for links into the web; `make docs` does not look at them.
linkcheck_timeout = 20
linkcheck_retries = 2


def link(app, document):
    """Lead a page's links to where things are on the site.

    What is a page here is linked. Another file of the repository is handed out with the site. A
    folder has no page: its path is told.
    """
    docname = app.env.docname
    base = INCLUDED.get(docname, Path(app.env.doc2path(docname))).parent
    pages = {Path(app.env.doc2path(name)): name for name in app.env.found_docs}
    pages.update({path: name for name, path in INCLUDED.items()})
    for kind in (addnodes.pending_xref, addnodes.download_reference):
        for node in list(document.findall(kind)):
            if node.get('reftype') == 'myst' and not node['reftarget'].startswith('#'):
                node.replace_self(leading(node, base, pages, docname))
            elif node.get('refdomain') == 'py' and isinstance(node[0], nodes.literal):
                node['refspecific'] = True  # a docstring's :class:`Name`, from whichever module


def leading(node, base, pages, docname):
    """The nodes that stand for a link of MyST's."""
    target, _, anchor = node['reftarget'].partition('#')
    if node.get('refdomain') == 'doc':  # the name of a page, also of one outside
        names = {name: path for path, name in pages.items()}
        target, anchor = names.get(target, f'{DOCS / target}.md'), node.get('reftargetid')
    path = Path(os.path.normpath(base / target))
    given = dict(refdoc=docname, reftype='myst', refexplicit=True)
    if path in pages:
        link = addnodes.pending_xref(
            refdomain='doc', reftarget=pages[path], reftargetid=anchor or None, **given
        )
    elif path.is_file() and path.suffix != '.md':
        name = f'/{os.path.relpath(path, DOCS)}'
        link = addnodes.download_reference(refdomain=None, reftarget=name, **given)
    elif path.exists():
        told = path.relative_to(ROOT).as_posix()
        if told in node.astext():
            return node.children
        return [*node.children, nodes.Text(' ('), nodes.literal(told, told), nodes.Text(')')]
    else:
        return [node]  # MyST says that there is no such thing
    link.source, link.line = node.source, node.line
    link += node.children
    return [link]


def skip_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: the class's docstring describes them."""
    return True if (obj.__doc__ or '').startswith('Alias for field number') else None


def setup(app):
    app.connect('doctree-read', link, priority=100)  # before Sphinx collects what is handed out
    app.connect('autodoc-skip-member', skip_fields)
