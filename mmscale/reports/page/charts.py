"""Charts as Vega-Lite describes them.

What comes from data (names of classes, files and runs) stands in the data alone: never in an
expression, the name of a field or a title.
"""

from collections.abc import Callable, Sequence
from typing import Any

COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#555555')
STEP = 18  # pixels of a bar and its name
CONFIG = {
    'font': 'system-ui, sans-serif',
    'view': {'stroke': None},
    'axis': {
        'gridColor': '#e4e4e4', 'labelFontSize': 12, 'titleFontSize': 12, 'labelLimit': 130,
        'labelFlush': False,
    },
    'legend': {
        'orient': 'top', 'labelFontSize': 12, 'title': None, 'labelLimit': 260,
    },
    'range': {'category': list(COLOURS)},
    'line': {'strokeWidth': 2},
}  # fmt: skip


def spec(rows: Sequence[dict], alt: str, **parts: Any) -> dict[str, Any]:
    """A description with what all charts share.

    Args:
        rows (list[dict]): The data.
        alt (str): For those who cannot see.
        **parts: Vega-Lite's: `mark`, `encoding`, `layer`, `transform`, ...
    """
    return {
        'description': alt,
        'width': 'container',
        'height': 260,
        'autosize': {'type': 'fit-x', 'contains': 'padding'},
        'data': {'values': list(rows)},
        'config': CONFIG,
        **parts,
    }


def axis(field: str, title: str, **options: Any) -> dict[str, Any]:
    """An encoding of numbers."""
    return {'field': field, 'type': 'quantitative', 'title': title, **options}


def share(field: str, title: str) -> dict[str, Any]:
    """An encoding of numbers from 0 to 1."""
    return axis(field, title, scale={'domain': [0, 1]})


def colour(field: str, order: Sequence[str], legend: bool = True) -> dict[str, Any]:
    """An encoding of names by colour, in this order."""
    given: dict[str, Any] = {'field': field, 'type': 'nominal', 'sort': list(order)}
    given['scale'] = {'domain': list(order), 'range': [*COLOURS * (1 + len(order) // len(COLOURS))]}
    if not legend or len(order) == 1:
        return {**given, 'legend': None}
    # As many beside each other as a phone has room for.
    return {**given, 'legend': {'columns': 2 if max(map(len, order)) > 9 else 4}}


def tooltip(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    """What is shown at the mouse: fields with their titles."""
    return [{'field': field, 'title': title} for field, title in pairs]


def lines(
    rows: Sequence[dict],
    alt: str,
    x: dict[str, Any],
    y: dict[str, Any],
    by: str,
    order: Sequence[str],
    dash: tuple[str, Sequence[str]] | None = None,
    points: bool = False,
    **parts: Any,
) -> dict[str, Any]:
    """Lines, one for each name in the field `by`, and perhaps dashes for another field."""
    encoding: dict[str, Any] = {'x': x, 'y': y, 'color': colour(by, order)}
    names = [(by, 'of'), (x['field'], x['title']), (y['field'], y['title'])]
    if dash and len(dash[1]) > 1:
        encoding['strokeDash'] = {'field': dash[0], 'type': 'nominal', 'sort': list(dash[1])}
        names.insert(1, (dash[0], 'kind'))
    encoding['tooltip'] = tooltip(*names)
    mark = {'type': 'line', 'point': points, 'interpolate': 'linear', 'clip': True}
    return spec(rows, alt, mark=mark, encoding=encoding, **parts)


def bars(
    rows: Sequence[dict],
    alt: str,
    name: str,
    x: dict[str, Any],
    by: str,
    order: Sequence[str],
    names: Sequence[str],
    label: Callable[[dict], str],
    more: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Horizontal bars, in the order of `names`; several of one name beneath each other.

    `label` makes of a row what is written at its bar.
    """
    rows = [{**row, 'label': label(row)} for row in rows]
    y = {'field': name, 'type': 'nominal', 'sort': list(names), 'title': None}
    encoding: dict[str, Any] = {'x': x, 'y': y}
    if len(order) > 1:
        encoding['yOffset'] = {'field': by, 'type': 'nominal', 'sort': list(order)}
    bar = {
        'mark': 'bar',
        'encoding': {
            'color': colour(by, order),
            'tooltip': tooltip((name, 'name'), (x['field'], x['title']), *more),
        },
    }
    # At the end of the bar; inside, where there is no room behind it.
    most = x.get('scale', {}).get('domain', [0, max((r[x['field']] for r in rows), default=0)])[1]
    inside = f'datum[{x["field"]!r}] > {0.7 * most}'
    text = {
        'mark': {
            'type': 'text',
            'align': {'expr': f"{inside} ? 'right' : 'left'"},
            'dx': {'expr': f'{inside} ? -4 : 4'},
            'color': {'expr': f"{inside} ? 'white' : 'black'"},
            'fontSize': 11,
        },
        'encoding': {'text': {'field': 'label', 'type': 'nominal'}},
    }
    height = len(names) * (STEP if len(order) == 1 else 16 * len(order) + 4)
    return spec(rows, alt, encoding=encoding, layer=[bar, text], height=max(height, STEP))


def histogram(
    rows: Sequence[dict], alt: str, field: str, title: str, order: Sequence[str], count: str
) -> dict[str, Any]:
    """Columns over ranges that are counted already."""
    encoding: dict[str, Any] = {
        'x': {'field': field, 'type': 'ordinal', 'sort': list(order), 'title': title},
        'y': axis('count', count),
        'tooltip': tooltip((field, title), ('count', count)),
    }
    encoding['x']['axis'] = {'labelAngle': 0, 'labelOverlap': True}
    mark = {'type': 'bar', 'color': COLOURS[0]}
    return spec(rows, alt, mark=mark, encoding=encoding, height=200)


def heatmap(
    rows: Sequence[dict], alt: str, names: Sequence[str], x: str, y: str, counted: str
) -> dict[str, Any]:
    """Cells of two names, darker for a larger share of the row."""
    few = len(names) <= 12
    side = {'type': 'nominal', 'sort': list(names), 'scale': {'domain': list(names)}}
    labels = {'labelLimit': 90, 'labelOverlap': True, 'grid': False}
    encoding = {
        'x': {**side, 'field': 'found', 'title': x, 'axis': {**labels, 'labelAngle': -45}},
        'y': {**side, 'field': 'truth', 'title': y, 'axis': labels},
    }
    cell = {
        'mark': {'type': 'rect'},
        'encoding': {
            'color': {
                **axis('share', 'share of the row', scale={'scheme': 'blues', 'domain': [0, 1]}),
                'legend': {'title': 'share of the row', 'gradientLength': 160},
            },
            'tooltip': tooltip(('truth', y), ('found', x), ('count', counted), ('share', 'share')),
        },
    }
    text = {
        'mark': {'type': 'text', 'fontSize': 11},
        'encoding': {
            'text': {'field': 'count', 'type': 'quantitative'},
            'color': {
                'condition': {'test': 'datum.share > 0.5', 'value': 'white'},
                'value': 'black',
            },
        },
    }
    height = max(220, min(640, 28 * len(names)))
    layer = [cell, text] if few else [cell]
    return spec(rows, alt, encoding=encoding, layer=layer, height=height)
