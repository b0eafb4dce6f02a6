"""Structures are drawn beside each other."""

import json

import pytest
from commands import tool

from mmscale.structures import seed


def test_structures_are_drawn_beside_each_other(tmp_path):
    import cv2

    tool('plot_structures')(['scalenet50', 'scalenet50_light', '--out', str(tmp_path / 'two.png')])
    tool('plot_structures')(['scalenet50', '--out', str(tmp_path / 'one.png')])
    two, one = (cv2.imread(str(tmp_path / f'{name}.png')) for name in ('two', 'one'))
    assert two.shape[0] > 1.5 * one.shape[0]
    for arguments, words in (
        (['scalenet18', '--out', str(tmp_path / 'none.png')], 'scalenet18'),
        (['scalenet50', '--out', str(tmp_path / 'no/such.png')], 'is missing'),
        (['scalenet50', '--out', str(tmp_path / 'none.jpg')], 'must end in .png'),
    ):
        with pytest.raises(SystemExit, match=words):
            tool('plot_structures')(arguments)
    odd = tmp_path / 'odd.json'
    content = seed(8, (1, 1, 1, 1), scales=tuple(range(1, 13)))
    odd.write_text(json.dumps({**content, 'name': 'cost $\\frac{a$ ' * 20}))
    tool('plot_structures')([str(odd), '--out', str(tmp_path / 'odd.png')])
    assert cv2.imread(str(tmp_path / 'odd.png')) is not None
