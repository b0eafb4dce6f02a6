"""Which font draws a text, and what is said where there is none; with fonts that matplotlib has."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from mmscale.engine.tasks import CLASSIFIER
from mmscale.inference.drawing import Drawing
from mmscale.utils import fonts
from mmscale.utils.figures import new_figure, write_figure

FONTS = Path(matplotlib.get_data_path(), 'fonts/ttf')
OWN, OTHER = str(FONTS / 'DejaVuSans.ttf'), str(FONTS / 'STIXGeneral.ttf')
IN_OTHER = '\u1d81'  # a d with a hook, which matplotlib's own has not
NOWHERE = '\u732b'  # a cat, in none of these


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """The fonts of a machine: a broken one and another; and nothing is known of them yet."""
    broken = tmp_path / 'AllSans-Regular.ttf'
    broken.write_bytes(b'no font')
    files = [OTHER, str(broken)]
    monkeypatch.setattr('matplotlib.font_manager.findSystemFonts', lambda: files)
    monkeypatch.setattr(fonts, 'NOWHERE', set())
    fonts._file.cache_clear()
    yield files
    fonts._file.cache_clear()


def test_own_font_has_european_letters(log):
    assert fonts.font_file(['a cat', 'кот', 'γάτα', 'with\nlines', '']) == OWN
    assert not log


def test_a_font_that_is_installed_has_the_others(log):
    assert fonts.font_file(['cat', IN_OTHER]) == OTHER
    assert not log


def test_the_one_with_most_letters_is_taken_and_what_is_missing_said_once(log):
    for _ in range(3):
        assert fonts.font_file([IN_OTHER + NOWHERE]) == OTHER
    assert fonts.font_file([f'{NOWHERE} 0.7', 'cat']) == OWN
    assert f"'{NOWHERE}' are drawn as boxes" in log.with_word('install one')
    assert len(log) == 1


def test_fonts_without_latin_letters_are_no_gain(installed, monkeypatch):
    signs = str(FONTS / 'cmex10.ttf')  # large brackets at the places of some letters
    installed[:] = [signs]
    assert fonts.font_file(['cat', NOWHERE]) == OWN


def test_figures_have_the_letters_and_leave_the_settings_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    pictures = []
    for text in (IN_OTHER, NOWHERE):
        figure, [[axis]] = new_figure(1)
        axis.set_title(text * 9)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            write_figure(figure, tmp_path / 'a.png')
        pictures.append((tmp_path / 'a.png').read_bytes())
    assert pictures[0] != pictures[1]
    assert dict(matplotlib.rcParams) == before


def test_results_have_the_letters():
    picture = np.zeros((64, 64, 3), np.uint8)
    labels, probabilities = np.array([0]), np.array([0.9])
    result = SimpleNamespace(picture=picture, labels=labels, probabilities=probabilities)
    drawing = Drawing(CLASSIFIER, [IN_OTHER], None)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', 'Glyph')
        drawn = drawing(result)
    assert (drawn != picture).any()
