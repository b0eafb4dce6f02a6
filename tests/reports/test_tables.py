"""Tables of resolutions are compared."""

import json

import cv2
import pytest
from commands import tool


def test_tables_are_compared(tmp_path, capsys):
    def write(name, rows):
        path = tmp_path / name
        path.write_text(json.dumps([dict(inference=i, resolution=r, top1=t) for i, r, t in rows]))
        return str(path)

    first = write('a.json', [('proxy', 32, 80.0), ('ideal', 32, 70.0), ('proxy', 28, 60.0)])
    second = write('b.json', [('proxy', 32, 84.0)])
    plain = write('c.json', [(None, 32, 50.0)])
    out = tmp_path / 'comparison.png'
    compare = tool('compare_runs')
    compare([f'SAN={first},{second}', f'plain={plain}', '--metric', 'top1', '--out', str(out)])
    assert capsys.readouterr().out.splitlines() == [
        'SAN, proxy, 28 px: top1 60.000 (1 run)',
        'SAN, proxy, 32 px: top1 82.000 ± 2.828 (2 runs; 95 %: 56.588 to 107.412)',
        'SAN, ideal, 32 px: top1 70.000 (1 run)',
        'plain, 32 px: top1 50.000 (1 run)',
        f'Picture: {out}',
    ]
    assert cv2.imread(str(out)).shape[2] == 3
    out.unlink()
    (tmp_path / 'x.json').write_text('{"a": 1')
    for kinds, metric, words in (
        (f'a={first}', 'top5', "'top5'"),
        (f'a={tmp_path}/x.json', 'top1', r'x\.json'),
        (f'a={tmp_path}/no.json', 'top1', r'no\.json'),
    ):
        with pytest.raises(SystemExit, match=words):
            compare([kinds, '--metric', metric, '--out', str(out)])
    assert not out.exists()
