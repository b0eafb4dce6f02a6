"""The fenced blocks of README and docs: found, read as commands, and the small data they run on."""

import ast
import re
import shlex
import shutil
import sys
from typing import NamedTuple

import cv2
import exportable
import golden
import layouts
import torch
from commands import ROOT
from markdown_it import MarkdownIt

import mmscale
from mmscale.beginning import begin
from mmscale.datasets.shapes import CLASSES
from mmscale.engine.building import build_model
from mmscale.engine.config import load_config

# The notebook and the transcripts quote what once ran; the licences are written by a program.
LEFT_OUT = ('docs/notes/*', 'docs/transcripts/*', 'docs/licences.md')
SHELL, PYTHON = '', 'python'
# Capitals that a page leaves to the reader, and folders that only the reader has.
PLACEHOLDERS = {
    'CONFIG': 'my_config.py',
    'CHECKPOINT': 'work_dirs/my_config/epoch_12.pth',
    'MODEL': 'work_dirs/my_config',
    'WORK_DIR': 'work_dirs/my_config',
    'OTHER_WORK_DIR': 'work_dirs/my_config',
    'IN': 'in.pth',
    'FOLDER': 'results',
    '/path/to/coco': 'data/coco',
    '/path/to/imagenet': 'data/imagenet',
}


class Block(NamedTuple):
    """A fenced block: its page, its language, the line on which its text begins, and the text."""

    page: str
    language: str
    line: int
    text: str

    def __str__(self):
        return f'{self.page}:{self.line}'


class Command(NamedTuple):
    """One command of a shell block, whose lines are joined: where it begins, and its text."""

    page: str
    line: int
    text: str

    def __str__(self):
        return f'{self.page}:{self.line}'

    @property
    def words(self):
        """Its words, without a comment and without where its output goes."""
        text = self.text.replace('\\\n', ' ')
        lexer = shlex.shlex(text, posix=True, punctuation_chars='>')
        lexer.whitespace_split = True
        words = list(lexer)
        return words[: words.index('>')] if '>' in words else words


def pages():
    """The pages whose blocks are tried, as paths from the root."""
    found = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')]
    names = sorted(page.relative_to(ROOT) for page in found if page.name != 'CHANGELOG.md')
    return [name.as_posix() for name in names if not any(map(name.match, LEFT_OUT))]


def blocks():
    """Every fenced block but Sphinx's directives."""
    for page in pages():
        for token in MarkdownIt().parse((ROOT / page).read_text(encoding='utf-8')):
            if token.type == 'fence' and not token.info.startswith('{'):
                yield Block(page, token.info, token.map[0] + 2, token.content)


def commands(block):
    """The commands of a shell block."""
    line = block.line
    for text in re.split(r'(?<!\\)\n', block.text):
        for part in text.split('&&'):
            command = Command(block.page, line, part.strip())
            if command.words:
                yield command
        line += text.count('\n') + 1


def replaced(text, stand_ins):
    """A text with other words in the place of some."""
    for word, other in stand_ins.items():
        text = re.sub(rf'(?<![\w/.-]){re.escape(word)}(?![\w-])', other, text)
    return text


def runnable(command):
    """A command's text without its comment, with files that there are in the place of others.

    A checkpoint is the newest one that there is: a short run ends at another epoch than the page's.
    """
    text = re.sub(r'\s+# .*', '', command.text)
    text = re.sub(
        r'(work_dirs/[\w-]+)/(?:epoch|iter)_\d+\.pth', r'$(ls -t \1/*_*.pth | head -1)', text
    )
    text = re.sub(r'\bCHECKPOINT\b', '$(ls -t work_dirs/*/*_*.pth | head -1)', text)
    return replaced(text, PLACEHOLDERS)


def run_python(page, given):
    """Run what a page takes for granted, then its Python, of which tracebacks name the lines."""
    lines = []
    for block in blocks():
        if (block.page, block.language) == (page, PYTHON) and not is_config(block.text):
            lines += [''] * (block.line - 1 - len(lines)) + block.text.splitlines()
    names = {}
    exec(given, names)
    exec(compile('\n'.join(lines), page, 'exec'), names)


def is_config(text):
    """Whether a Python block is a config: it assigns what mmengine reads."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            made = isinstance(value, ast.Call) and getattr(value.func, 'id', '') == 'dict'
            if name in ('_base_', 'custom_imports') or (name == 'model' and made):
                return True
    return False


def make_folder(folder, shapes):
    """A folder in which the examples run: a checkout's folders and what the pages take for granted.

    Args:
        folder (Path): To make.
        shapes (Path): The shapes set.
    """
    for name in ('configs', 'docs', 'tools'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    layouts.coco(shapes, folder / 'data/mine')
    own = layouts.coco(shapes, folder / 'data/own') / 'annotations'
    for split in ('train', 'val'):
        (own / f'instances_{split}.json').rename(own / f'{split}.json')
    layouts.real_coco(shapes, folder / 'data/coco')
    layouts.classes(shapes, folder / 'data/imagenet')
    shutil.copytree(shapes / 'val', folder / 'pictures')
    picture = next((shapes / 'val').iterdir())
    for name in ('street.jpg', 'picture.jpg'):
        shutil.copy(picture, folder / name)
    make_clip(folder / 'clip.mp4', cv2.imread(str(picture)))
    make_run(folder)
    make_weights(folder)


def make_clip(path, frame):
    """A video of three frames."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'mp4v'), 5, (frame.shape[1], frame.shape[0])
    )
    for _ in range(3):
        writer.write(frame)
    writer.release()


def make_run(folder):
    """``my_config.py`` for ``data/mine``, and the checkpoint that its training would leave."""
    config = begin(folder / 'data/mine', folder / 'my_config.py').config
    cfg = load_config(config)
    run = folder / 'work_dirs/my_config'
    run.mkdir(parents=True)
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES), epoch=12, iter=96)
    model = exportable.randomised(build_model(cfg))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), run / 'epoch_12.pth')


def make_weights(folder):
    """A backbone's file and a classifier's."""
    (folder / 'path/to').mkdir(parents=True)
    torch.save(mmscale.create('scalenet_50').state_dict(), folder / 'path/to/file.pth')
    torch.save(golden.state_dict('rexnet_1.0_224x224'), folder / 'in.pth')


if __name__ == '__main__':
    run_python(*sys.argv[1:])
