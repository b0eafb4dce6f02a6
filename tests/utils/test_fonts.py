"""Which fonts draw a text, and what is said where there is none; with fonts that matplotlib has."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from mmscale.engine.tasks import CLASSIFIER, DETECTOR
from mmscale.inference.drawing import Drawing
from mmscale.utils import fonts
from mmscale.utils.figures import new_figure, write_figure

FONTS = Path(matplotlib.get_data_path(), 'fonts/ttf')
OWN, OTHER, SERIF = (str(FONTS / f'{n}.ttf') for n in ('DejaVuSans', 'STIXGeneral', 'DejaVuSerif'))
IN_OTHER = '\u1d81'  # a d with a hook, which matplotlib's own has not
IN_SERIF = '\u1d24'  # a letter of phonetics
NOWHERE = '\u732b'  # a cat, in none of these


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """The fonts of a machine, one of them broken; and nothing is known of them yet."""
    broken = tmp_path / 'AllSans-Regular.ttf'
    broken.write_bytes(b'no font')
    files = [OTHER, SERIF, str(broken)]
    monkeypatch.setattr('matplotlib.font_manager.findSystemFonts', lambda: files)
    monkeypatch.setattr(fonts, 'NOWHERE', set())
    fonts._covering.cache_clear()
    yield files
    fonts._covering.cache_clear()


def test_own_font_has_european_letters(log):
    assert fonts.families(['a cat', 'кот', 'γάτα', 'with\nlines', '']) == []
    assert fonts.font_file('кот') == OWN
    assert not log


def test_others_are_taken_for_what_it_lacks(log):
    assert fonts.families(['cat', IN_OTHER]) == ['STIXGeneral']
    assert set(fonts.families([IN_OTHER, IN_SERIF])) == {'STIXGeneral', 'DejaVu Serif'}
    assert fonts.font_file(f'{IN_OTHER} 0.5') == OTHER
    assert not log


def test_what_no_font_has_is_said_once(log):
    for _ in range(3):
        assert fonts.families(['cat', f' {IN_OTHER}{NOWHERE} ']) == ['STIXGeneral']
    assert fonts.font_file(f'{NOWHERE} 0.7') == OWN
    assert f"has all letters of '{IN_OTHER}{NOWHERE}', which" in log.with_word('install one')
    assert len(log) == 1


def drawn(text, folder):
    figure, [[axis]] = new_figure(1)
    axis.set_title(text)
    axis.set_xticks([0], [text])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        write_figure(figure, folder / 'a.png')
    return (folder / 'a.png').read_bytes()


def test_figures_have_letters_of_several_fonts(tmp_path):
    before = dict(matplotlib.rcParams)
    texts = [f'č{a}γ{b}' for a in (IN_OTHER, NOWHERE) for b in (IN_SERIF, NOWHERE)]
    assert len({drawn(text, tmp_path) for text in texts}) == 4
    assert dict(matplotlib.rcParams) == before


def result_of(name, task):
    picture = np.full((64, 256, 3), 255, np.uint8)
    one = dict(picture=picture, labels=np.array([0]), probabilities=np.array([0.9]))
    detector = dict(scores=np.array([0.9]), boxes=np.array([[4.0, 40, 60, 60]]), masks=None)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', 'Glyph')
        return Drawing(task, [name], [(9, 9, 9)])(SimpleNamespace(**one, **detector))


@pytest.mark.parametrize('task', [CLASSIFIER, DETECTOR], ids=['classifier', 'detector'])
def test_results_have_letters_of_several_fonts(task):
    names = [f'γ{a}{b}' for a in (IN_OTHER, NOWHERE) for b in (IN_SERIF, NOWHERE)]
    pictures = [result_of(name, task).tobytes() for name in names]
    assert len(set(pictures)) == 4


@pytest.mark.parametrize('task', [CLASSIFIER, DETECTOR], ids=['classifier', 'detector'])
def test_names_are_no_formulas(task):
    assert (result_of('$x^$', task) < 255).any()
    longer, shorter = (
        np.flatnonzero((result_of(name, task) < 255).any((0, 2))).max()
        for name in ('$a$$b$', 'abab')
    )
    assert longer > shorter
