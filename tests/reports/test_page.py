"""The page of a test: what it says, in one file, whatever the data are called."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from commands import tool
from kept_tests import detections, detector, keep, record
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmscale.errors import UserError
from mmscale.reports.detection_errors import KINDS
from mmscale.reports.page.writing import write_report

pytest.importorskip('vl_convert', reason='vl-convert-python, of mmscale[report], is not installed')

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'`${alert(3)}&amp;'
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
CHROMIUM = CHROMIUM or shutil.which('google-chrome')


class Reader(HTMLParser):
    """Counts tags, and keeps the texts of scripts and of everything else."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts, self.words, self.attributes = [], [], [], []
        self.inside = None
        self.feed(page if isinstance(page, str) else page.read_text(encoding='utf-8'))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag
        if tag == 'script':
            self.scripts.append([dict(attrs), ''])

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == 'script':
            self.scripts[-1][1] += data
        elif self.inside != 'style':
            self.words.append(data)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())

    @property
    def specs(self):
        """The charts' descriptions."""
        return [json.loads(text) for attrs, text in self.scripts if attrs.get('class') == 'spec']

    def chart(self, start):
        """The one whose words begin so."""
        (found,) = (spec for spec in self.specs if spec['description'].startswith(start))
        return found['data']['values']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A work dir with a detector's test, and logs of a training."""
    work_dir = detector(tmp_path_factory.mktemp('runs') / 'first')
    log = work_dir / '20260101_000000/vis_data'
    log.mkdir(parents=True)
    lines = [dict(step=s, iter=s, lr=0.1 / s, loss=1 / s, loss_cls=0.5 / s) for s in range(1, 40)]
    lines += [{'step': 39, 'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_50': 0.5}]
    (log / 'scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    return work_dir


@pytest.fixture(scope='module')
def page(run):
    return write_report([run])


@pytest.fixture(scope='module')
def pycocotools(run):
    truth = COCO(str(run / 'last_test/predictions.gt.json'))
    found = truth.loadRes(str(run / 'last_test/predictions.bbox.json'))
    evaluation = COCOeval(truth, found, 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval['precision'][..., 0, -1]  # IoU, recall, class


def test_class_ap_is_pycocotools(page, pycocotools):
    rows = {row['name']: row for row in Reader(page).chart('Bars of AP by class')}
    for place in range(5):
        row = rows[f'class {place}']
        assert row['ap'] == pytest.approx(100 * pycocotools[..., place].mean(), abs=1e-6)
        assert row['ap50'] == pytest.approx(100 * pycocotools[0, :, place].mean(), abs=1e-6)


def test_curves_are_pycocotools(page, pycocotools):
    reader = Reader(page)
    rows = reader.chart('Precision over recall, mean')
    means = {
        'IoU 0.50': pycocotools[0].mean(1),
        'IoU 0.75': pycocotools[5].mean(1),
        'mean of IoU 0.50 to 0.95': pycocotools.mean((0, 2)),
    }
    for iou, theirs in means.items():
        ours = [row['precision'] for row in rows if row['iou'] == iou]
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for row in reader.chart('Precision over recall of one class'):
        place = int(row['name'].split()[-1])
        theirs = pycocotools[{'IoU 0.50': 0, 'IoU 0.75': 5}[row['iou']], :, place]
        np.testing.assert_allclose(row['precision'], theirs, atol=1e-6)


def test_errors_explain_the_gap(page):
    reader = Reader(page)
    rows = reader.chart('Bars of the AP50 that each kind')
    assert [row['kind'] for row in rows] == list(KINDS)
    ap50 = float(re.search(r'AP50 is ([\d.]+);', reader.text)[1])
    assert ap50 + sum(row['gain'] for row in rows) == pytest.approx(100, abs=0.005)


def test_page_has_every_section_and_no_address(page):
    reader = Reader(page)
    for heading in (
        'Summary', "COCO's figures", 'Classes', 'Precision and recall', 'Errors by kind',
        'What is taken for what', 'Scores', 'Recall over size', 'Pictures', 'Learning curves',
        'The data', 'What the model costs', 'Command and versions',
    ):  # fmt: skip
        assert heading in reader.words
    assert 'mmscale test some_config.py epoch_1.pth --report' in reader.text
    sources = [value for name, value in reader.attributes if name in ('src', 'href', 'action')]
    assert sources
    assert all(value.startswith(('data:', '#')) for value in sources)
    assert page.stat().st_size < 10e6


def test_every_chart_and_picture_has_words(page):
    reader = Reader(page)
    assert len(reader.specs) >= 15
    assert all(len(spec['description']) > 20 for spec in reader.specs)
    alts = [value for name, value in reader.attributes if name == 'alt']
    assert len(alts) == reader.tags.count('img') == 24
    assert all(alts)
    assert reader.tags.count('table') == reader.tags.count('caption') >= 15


def test_learning_curves_come_from_the_logs(page):
    losses = Reader(page).chart('Training loss over the iterations')
    assert [r['value'] for r in losses if r['name'] == 'loss'] == [1 / s for s in range(1, 40)]


@pytest.fixture(scope='module')
def hostile(tmp_path_factory):
    """The page of a run in which everything has a hostile name."""
    folder = tmp_path_factory.mktemp('hostile')
    truth, found = detections(images=6, classes=2)
    for category, name in zip(truth['categories'], (HOSTILE, f'{HOSTILE} two')):
        category['name'] = name
    picture = folder / '<img src=x onerror=alert(4)>\udcff.jpg'  # and a byte that is no UTF-8
    Image.new('RGB', (640, 480)).save(picture)
    work_dir = detector(
        folder / '<b>run',
        (truth, found),
        {str(image['id']): str(picture) for image in truth['images']},
        command=HOSTILE,
        versions={HOSTILE: HOSTILE},
        metrics={HOSTILE: 1.0},
        cost={'error': HOSTILE},
        when=HOSTILE,
    )
    return write_report([work_dir])


def test_hostile_names_stay_texts(hostile):
    reader = Reader(hostile)
    assert HOSTILE in reader.text
    assert r'<img src=x onerror=alert(4)>\udcff.jpg' in reader.text
    assert '<b>run' in reader.words
    assert not {'b', 'iframe', 'object', 'base', 'form'} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith('on')]
    pictures = [value for name, value in reader.attributes if name == 'src']
    assert pictures
    assert all(value.startswith('data:image/jpeg;base64,') for value in pictures)
    names = {row['name'] for row in reader.chart('Bars of AP by class')}
    assert names == {HOSTILE, f'{HOSTILE} two'}


@pytest.mark.parametrize('which', ['page', 'hostile'])
def test_browser_is_told_to_run_the_two_scripts_alone(which, request):
    reader = Reader(request.getfixturevalue(which))
    (policy,) = (v for n, v in reader.attributes if n == 'content' and v.startswith('default-src'))
    assert policy.startswith("default-src 'none'; img-src data:; ")
    code = [text for attrs, text in reader.scripts if 'type' not in attrs]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert re.search(r'script-src ([^;]+);', policy)[1].split() == [
        f"'sha256-{digest}'" for digest in hashes
    ]
    assert len(code) == 2


def test_names_are_data_and_no_part_of_what_vega_computes(hostile):
    for spec in Reader(hostile).specs:
        assert spec.pop('data')
        spec.pop('description')
        for params in spec.get('params', ()):
            params.pop('value')
            params['bind'].pop('options')
        for part in [spec, *spec.get('layer', ())]:
            for channel in part.get('encoding', {}).values():
                if isinstance(channel, dict):
                    channel.pop('sort', None)
                    channel.get('scale', {}).pop('domain', None)
        assert 'alert' not in json.dumps(spec)


@pytest.fixture(scope='module')
def comparison(run, tmp_path_factory):
    """The page of two runs, the second with better scores for some detections."""
    folder = tmp_path_factory.mktemp('runs')
    truth, found = detections()
    found = [{**row, 'score': row['score'] ** 0.5} for row in found[: len(found) // 2 * 2 : 2]]
    second = detector(folder / 'second', (truth, found))
    return write_report([run, second], folder / 'both.html')


def test_two_runs_beside_each_other(comparison):
    reader = Reader(comparison)
    for words in ('first and second', 'difference', 'best F1 (first | second)'):
        assert words in reader.text
    assert 'Where first is better' in reader.text
    rows = reader.chart('Bars of AP by class')
    assert {row['run'] for row in rows} == {'first', 'second'}


def test_a_run_beside_itself_has_no_difference(run, tmp_path):
    reader = Reader(write_report([run, run], tmp_path / 'same.html'))
    rows = reader.chart('Bars of AP by class')
    names = list(dict.fromkeys(row['run'] for row in rows))
    assert len(names) == 2
    first, second = ([r['ap'] for r in rows if r['run'] == name] for name in names)
    assert first == second
    assert '+0.0' in reader.words


def test_nothing_was_found(tmp_path):
    truth, _ = detections(images=4)
    reader = Reader(write_report([detector(tmp_path / 'run', (truth, []))]))
    assert 'AP50 is 0.00;' in reader.text
    assert reader.chart('Bars of the AP50 that each kind')[-1]['count'] > 0


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda folder: None, '--report'),
        (lambda folder: folder.mkdir(), 'last_test/test.json'),
        (lambda folder: keep(folder, test={'format': 99}), 'this version keeps'),
        (lambda folder: keep(folder, test=[1]), 'this version keeps'),
        (
            lambda folder: keep(folder, test=record('classifier', classes=[])),
            'answers.json',
        ),
        (
            lambda folder: keep(
                folder,
                test=record('detector', annotations='predictions.gt.json', kinds=['bbox']),
            ),
            'predictions.gt.json',
        ),
    ],
)
def test_what_is_missing_is_said_in_a_line(tmp_path, make, message):
    make(tmp_path / 'run')
    with pytest.raises(SystemExit) as ended:
        tool('report')([str(tmp_path / 'run')])
    assert message in str(ended.value)
    assert '\n' not in str(ended.value)
    assert not list(tmp_path.glob('**/*.html'))


def test_runs_of_two_tasks_have_no_page(run, tmp_path):
    other = keep(tmp_path / 'other', test=record('classifier', classes=['a']))
    with pytest.raises(UserError, match='of one task'):
        write_report([run, other])
    with pytest.raises(UserError, match='not of 3'):
        write_report([run, run, run])


def test_page_goes_where_it_is_told(run, tmp_path, capsys):
    with pytest.raises(UserError, match=r'must end in \.html'):
        write_report([run], tmp_path / 'page.txt')
    tool('report')([str(run), '--out', str(tmp_path / 'page.html')])
    assert capsys.readouterr().out == f'Report: {tmp_path / "page.html"}\n'


def classifier(folder):
    """A classifier's test that was kept: 3 of 4 right."""
    Image.new('RGB', (64, 64)).save(folder.parent / 'a.png')
    answers = [
        dict(path=str(folder.parent / 'a.png'), truth=t, labels=[f, 1 - f], scores=[s, 1 - s])
        for t, f, s in ((0, 0, 0.9), (0, 0, 0.6), (1, 1, 0.7), (1, 0, 0.8))
    ]
    return keep(folder, answers=answers, test=record('classifier', classes=['cat', HOSTILE]))


def segmentor(folder):
    """A segmentor's test that was kept: 90 of 100 pixels right."""
    counts = [[0, 0, 50], [0, 1, 10], [1, 1, 40]]
    Image.new('RGB', (10, 10)).save(folder.parent / 'b.png')
    pictures = [dict(path=str(folder.parent / 'b.png'), counts=counts, maps='maps/0')]
    keep(folder, pixels=pictures, test=record('segmentor', classes=['road', HOSTILE]))
    (folder / 'last_test/maps').mkdir()
    for name in ('truth', 'found'):
        Image.new('L', (10, 10)).save(folder / f'last_test/maps/0.{name}.png')
    return folder


@pytest.mark.parametrize(
    ('make', 'chart', 'values'),
    [
        (classifier, 'Bars of F1 by class', {'cat': 80, HOSTILE: 200 / 3}),
        (segmentor, 'Bars of IoU by class', {'road': 500 / 6, HOSTILE: 80}),
    ],
)
def test_classifiers_and_segmentors_have_theirs(tmp_path, make, chart, values):
    folders = [make(tmp_path / name) for name in ('one', 'two')]
    for chosen in (folders[:1], folders):
        reader = Reader(write_report(chosen, tmp_path / 'page.html'))
        rows = {row['name']: row['value'] for row in reader.chart(chart)}
        assert rows == pytest.approx(values)
        assert reader.tags.count('img') == len(chosen)
        assert not [name for name, _ in reader.attributes if name.startswith('on')]


def opened(page, width=1280):
    """The page's document after its scripts have run in a browser, and what its console says."""
    command = [
        CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
        '--virtual-time-budget=20000', '--enable-logging=stderr', f'--window-size={width},1000',
        '--dump-dom', page.resolve().as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.stdout, [line for line in done.stderr.splitlines() if 'CONSOLE' in line]


@pytest.mark.skipif(not CHROMIUM, reason='there is no Chromium: apt-get install chromium')
@pytest.mark.parametrize(
    ('which', 'width'), [('page', 1280), ('page', 390), ('hostile', 1280), ('comparison', 1280)]
)
def test_browser_draws_every_chart_and_complains_of_nothing(which, width, request):
    page = request.getfixturevalue(which)
    document, console = opened(page, width)
    assert console == []
    charts = len(Reader(page).specs)
    assert charts >= 12
    drawn = Reader(document)
    assert drawn.tags.count('svg') == charts
    assert ('class', 'chart failed') not in drawn.attributes
    assert drawn.tags.count('path') + drawn.tags.count('text') > 20 * charts
    alts = [value for name, value in drawn.attributes if name == 'aria-label']
    assert {spec['description'] for spec in Reader(page).specs} <= set(alts)
