"""Files of the web from slow, lying and curious servers: whole or not at all, secrets unsaid."""

import base64
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
import torch
from commands import ROOT

from mmscale import checkpoints
from mmscale.checkpoints import fetching
from mmscale.checkpoints.fetching import reach
from mmscale.errors import UserError, without_secrets

SECRETS = ('me%40work', 'me@work', 'pass-word', 'to-ken', 'frag-ment')


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Answers as the functions in `answers` say, by path; yields what it was asked, too."""
    asked, answers = [], {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            try:
                answers[self.path.partition('?')[0]](self)
            except OSError:
                """The other side has gone."""
            self.close_connection = True

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        running.daemon_threads, running.block_on_close = True, False
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        yield f'127.0.0.1:{running.server_port}', answers, asked
        running.shutdown()


def weights():
    buffer = io.BytesIO()
    torch.save({'state_dict': {'a': torch.arange(1000.0)}}, buffer)
    return buffer.getvalue()


def send(handler, content, length=None, code=200, **headers):
    handler.send_response(code)
    if length != '':
        handler.send_header('Content-Length', str(len(content) if length is None else length))
    for key, value in headers.items():
        handler.send_header(key.replace('_', '-'), value)
    handler.end_headers()
    handler.wfile.write(content)


def drip(handler):
    handler.send_response(200)
    handler.send_header('Content-Length', '100000')
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b'P')
        time.sleep(0.1)


def drip_headers(handler):
    for _ in range(600):
        handler.wfile.write(b'H')
        time.sleep(0.1)


LIES = {
    'cut off': (lambda h: send(h, weights()[:2000], len(weights())), 'cut off'),
    'cut off, without a length': (lambda h: send(h, weights()[:2000], ''), 'cut off'),
    'too long': (lambda h: send(h, weights(), 9999999), 'cut off'),
    'silent': (lambda h: time.sleep(60), 'seconds'),
    'slow': (drip, 'seconds'),
    'slow headers': (drip_headers, 'seconds'),
    'to a file': (lambda h: send(h, b'', code=302, Location='file:///etc/passwd'), '302|http'),
    'to ftp': (lambda h: send(h, b'', code=302, Location='ftp://127.0.0.1/a.pth'), '302|http'),
    'to nowhere': (lambda h: send(h, b'', code=302, Location='data:,x'), '302|http'),
    'round and round': (
        lambda h: send(h, b'', code=302, Location='/weights.pth?token=to-ken'), '302',
    ),
    'not there': (lambda h: send(h, b'', code=404), '404, Not Found'),
    'curious': (lambda h: h.wfile.write(b'HTTP/1.1 403 to-ken\r\n\r\n'), '403, Forbidden'),
    'no http': (lambda h: h.wfile.write(b'hello to-ken\r\n'), 'cannot be fetched'),
    'a page': (lambda h: send(h, b'<html>sign in</html>'), 'web page'),
    'nothing': (lambda h: send(h, b''), 'empty'),
    'a number of bytes': (lambda h: send(h, weights()[:-1]), 'cut off'),
}  # fmt: skip


@pytest.mark.parametrize(('answer', 'words'), LIES.values(), ids=LIES)
def test_nothing_is_kept_of_a_lie_and_no_secret_is_said(
    server, answer, words, tmp_path, monkeypatch, log
):
    host, answers, _ = server
    monkeypatch.setattr(fetching, 'SILENCE', 2)
    monkeypatch.setattr(fetching, 'PATIENCE', 3)
    answers['/weights.pth'] = answer
    start = time.monotonic()
    with pytest.raises(UserError, match=words) as error:
        checkpoints.find_file(
            f'http://me%40work:pass-word@{host}/weights.pth?token=to-ken#frag-ment'
        )
    assert time.monotonic() - start < 20
    said = '\n'.join([str(error.value), *log])
    assert f'http://{host}/weights.pth' in said
    assert not [secret for secret in SECRETS if secret in said]
    left = [path for path in (tmp_path / 'torch').rglob('*') if path.is_file()]
    assert left == []


def test_a_login_is_sent_to_its_server_alone(server, tmp_path):
    host, answers, asked = server
    answers['/a.pth'] = lambda h: send(h, b'', code=302, Location='/b.pth')
    answers['/b.pth'] = lambda h: send(h, weights())
    path = checkpoints.find_file(f'http://me%40work:pass-word@{host}/a.pth?token=to-ken')
    assert path.name == 'a.pth'
    assert not [secret for secret in SECRETS if secret in str(path)]
    assert torch.equal(checkpoints.read_file(path)['state_dict']['a'], torch.arange(1000.0))
    (first, headers), (second, later) = asked
    assert first == '/a.pth?token=to-ken'
    assert headers['Authorization'] == (f'Basic {base64.b64encode(b"me@work:pass-word").decode()}')
    assert second == '/b.pth'
    assert 'Authorization' not in later


TRAIN = """
_base_ = 'mmscale::shapes/rexnet-100_shapes.py'
model = dict(backbone=dict(width_mult=0.9, init_cfg=dict(type='Pretrained', checkpoint={url!r})),
             head=dict(in_channels=1152))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(by_epoch=True, max_epochs=1)
"""


def test_a_run_writes_no_secret_anywhere(server, shapes, tmp_path):
    from mmscale.models import ReXNet

    host, answers, _ = server
    buffer = io.BytesIO()
    torch.save({'state_dict': ReXNet(width_mult=0.9, out_indices=(4,)).state_dict()}, buffer)
    answers['/weights.pth'] = lambda h: send(h, buffer.getvalue())
    url = f'http://me%40work:pass-word@{host}/weights.pth?token=to-ken#frag-ment'
    config = tmp_path / 'config.py'
    config.write_text(TRAIN.format(url=url))
    work = tmp_path / 'work'
    said = ''
    for tool, *options in (
        ['train.py', str(config)],
        ['test.py', str(config), str(work / 'epoch_1.pth')],
    ):
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', ROOT / 'tools' / tool, *options, '--work-dir', work],
            env=dict(os.environ, no_proxy='127.0.0.1', PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        said += result.stdout + result.stderr
    written = b''.join(path.read_bytes() for path in work.rglob('*') if path.is_file())
    names = '\n'.join(str(path) for path in tmp_path.rglob('*'))
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in written
        assert secret not in names


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('https://a:b@host:1/x.pth?c=d#e is', 'https://host:1/x.pth is'),
        ("'HTTP://a@host/x?c' and s3://k:l@bucket/y", "'HTTP://host/x' and s3://bucket/y"),
        ('https://a:b@c@host/x', 'https://host/x'),
        ('file a@b.pth? yes', 'file a@b.pth? yes'),
        ('mmscale:https://a:b@host/x', 'mmscale:https://host/x'),
    ],
)
def test_secrets_are_left_out(text, shown):
    assert without_secrets(text) == shown
    assert str(UserError(text)) == shown


def test_names_of_torchvisions_store_are_fetched_and_read_here(server, monkeypatch):
    from mmscale.checkpoints import stores

    host, answers, _ = server
    answers['/x.pth'] = lambda h: send(h, weights())
    listed = dict(net=f'http://{host}/x.pth')
    monkeypatch.setattr(stores.mmengines, 'get_torchvision_models', lambda: listed)
    assert checkpoints.find_file('torchvision://net').name == 'x.pth'
    with pytest.raises(UserError, match='no address under that name'):
        checkpoints.find_file('torchvision://other')


def test_a_server_that_is_not_there_is_known_in_seconds(monkeypatch):
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        reach(f'http://127.0.0.1:{port}')
    with pytest.raises(UserError, match=r'127\.0\.0\.1 does not answer: Connection refused'):
        reach(f'http://127.0.0.1:{port}')
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:1')
    monkeypatch.delenv('no_proxy', raising=False)
    monkeypatch.delenv('NO_PROXY', raising=False)
    reach('http://there.is.none.invalid')  # which the proxy may know
