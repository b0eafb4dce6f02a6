"""``--cfg-options`` that were mistyped, mutated or made up: a clean report or one line, at once."""

import argparse
import random
import signal
import traceback
from collections import Counter
from copy import deepcopy

import pytest
from mmengine.config import Config
from runs import CLASSIFIER, DETECTOR

from mmscale.cli.parsing import add_overrides
from mmscale.engine import config as configs
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import load_config
from mmscale.errors import UserError

SPLITS = ('train', 'val', 'test')
MOST = 30  # seconds of the processor's time that one may take
LETTERS = 'abcdefgxyz_.0123456789=[](){},\'"-+ \t\n\\/:*%$#@!~|é\0'
VALUES = (
    '', ' ', '0', '1', '-1', '3.5', '1e999', '-inf', 'nan', '1e-400', '10' * 30, 'x', 'None',
    'none', 'True', 'true', 'False', '[]', '()', '{}', '[[]]', '[1', '(1,', '1,2', 'a,b', '[a,b]',
    '(1,2,3)', '[(1,2),(3,4)]', '[(1,2),3', "'", '"', "'x", '{a:1}', "{'a':1}", "dict(type='x')",
    "[dict(type='x')]", 'type=x', '=', '==', '\\', '/', '..', '/dev/null', '/nowhere/at/all', 'a b',
    '${x}', '{{x}}', '{{_base_.x}}', '%(x)s', '\0', 'é', '[' * 50, '[' * 20_000,
    '(' * 50 + ')' * 50,
)  # fmt: skip
PLACES = ('', '.', '..', '0', '-1', '99', 'x', '_delete_', '_base_', '_scope_', 'type', '*', ' ')


def dotted(node, prefix=''):
    """Every key of a config, however deep."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield f'{prefix}{key}', value
        many = isinstance(value, list) and value and isinstance(value[0], dict)
        if many or isinstance(value, dict):
            yield from dotted(value, f'{prefix}{key}.')


def misspelt(text, rng):
    """A text with a letter too many, one too few, another one, or two that have changed places."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text) + 1)
        one = rng.choice(LETTERS)
        text = rng.choice(
            [
                text[:at] + one + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + one + text[at + 1 :],
                text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
            ]
        )
    return text


def mutated(keys, rng):
    """One KEY=VALUE, of which something is wrong."""
    key, value = rng.choice(keys)
    kind = rng.randrange(6)
    if kind == 0:
        return misspelt(f'{key}={value}', rng)
    if kind == 1:
        return f'{misspelt(key, rng)}={value}'
    if kind == 2:
        return f'{key}.{rng.choice(PLACES)}={rng.choice(VALUES)}'
    if kind == 3:
        return f'{key}={rng.choice(keys)[1]}'  # the value of another key
    if kind == 4:
        return f'{key}={misspelt(str(value), rng)}'
    return f'{key}={rng.choice(VALUES)}'


def too_long(number, frame):
    raise AssertionError(f'more than {MOST} s')


def outcome(name, options):
    """'clean', 'named' or 'refused'; anything else, or a long wait, is the test's failure."""
    parser = argparse.ArgumentParser()
    add_overrides(parser, '')
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, MOST)
    try:
        overrides = parser.parse_args(['--cfg-options', *options]).overrides
        found = list(find_in_run(load_config(name, overrides), SPLITS))
    except UserError as error:
        assert len(str(error)) < 5000
        return 'refused'
    except SystemExit as error:
        assert error.code == 2  # argparse's, with its usage
        return 'refused'
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return (
        'named' if any(finding.severity in ('fault', 'warning') for finding in found) else 'clean'
    )


@pytest.fixture
def small_sets(monkeypatch):
    """The configs are read once, and nothing is said of the machine, which stays the same."""
    read = {}

    def fromfile(path):
        if path not in read:
            read[path] = whole(path)
        return deepcopy(read[path])

    whole = Config.fromfile
    monkeypatch.setattr(Config, 'fromfile', fromfile)
    monkeypatch.setattr('mmscale.engine.checks.find_in_environment', lambda detects: ())
    return read


@pytest.mark.parametrize('name', [DETECTOR, CLASSIFIER])
@pytest.mark.parametrize(
    ('piece', 'count'),
    [(0, 40), *(pytest.param(i, 500, marks=pytest.mark.slow) for i in range(1, 11))],
)
def test_mutations_are_checked_or_refused(shapes, small_sets, name, piece, count, capsys):
    rng = random.Random(piece)
    keys = list(dotted(Config.fromfile(configs.find_config(name))._cfg_dict))
    found, failed = Counter(), []
    for _ in range(count):
        options = [mutated(keys, rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        options[0] = options[0].lstrip('-')  # or it is an option of its own
        try:
            found[outcome(name, options)] += 1
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            failed.append(f'{type(error).__name__} in {last.name}: {options}'[:500])
    with capsys.disabled():
        print(name, piece, dict(found))
    assert failed == []
    assert min(found['refused'], found['clean']) > 0


@pytest.mark.parametrize(
    'option',
    ['x', '=', '=3', '.=3', 'model', 'model=', 'model.=3', '..=3', 'a=[1', 'a=(1,2', 'a=[(1,2)', '',
     'a=' + '[' * 20_000, 'test_evaluator.ann_file=' + 'a' * 5000, 'default_scope=..',
     'val_dataloader.dataset.type=mmdet',
     'test_dataloader.dataset.pipeline.3.meta_keys=3.5',
     'test_dataloader.dataset.pipeline.1.type= ',
     'train_dataloader.dataset.data_root=' + 'b/' * 3000,
     'train_dataloader.dataset.pipeline.99.type=x', 'model.neck=[1', 'a=\0'],
    ids=lambda option: option[:30],
)  # fmt: skip
def test_options_of_no_form(shapes, small_sets, option, capsys):
    assert outcome(DETECTOR, [option]) in ('refused', 'named', 'clean')  # and no traceback
    said = capsys.readouterr().err
    assert len(said) < 3000
    assert 'Traceback' not in said
