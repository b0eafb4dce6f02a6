"""Files of the web: fetched within bounds of time, kept whole or not at all, secrets unsaid."""

import base64
import hashlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from mmscale.errors import UserError
from mmscale.utils.files import written_aside

ANSWER = 10  # seconds to find a server
SILENCE = 30  # seconds without a byte
PATIENCE = 60  # seconds, until an answer begins and for every MB of it
BLOCK = 1 << 16
LARGEST = 1 << 36  # bytes


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(newurl).scheme not in ('http', 'https'):
            raise UserError('the server sends on to something else than http(s)')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, path: Path, check: Callable[[Path], Any]) -> None:
    """Fetch a file of the web.

    Args:
        url (str): http(s); a user name and password in it are sent to that server alone.
        path (Path): Where it goes. It is there afterwards, whole and looked at, or not at all.
        check (Callable): Looks at the file under a temporary name, and raises UserError.

    Raises:
        UserError: If it cannot be fetched, is cut off, takes too long, or `check` refuses it. No
            message has a user name, a password, or what stands behind a question mark.
    """
    try:
        with _open(url) as response, written_aside(path) as temporary:
            _save(response, temporary)
            check(temporary)
    except urllib.error.HTTPError as error:
        known = http.client.responses.get(error.code, 'refused')
        raise UserError(f'the server says {error.code}, {known}') from None
    except urllib.error.URLError as error:
        raise UserError(f'there is no answer: {_reason(error.reason)}') from None
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(_reason(error)) from None


def reach(url: str) -> None:
    """Find out in seconds whether a server answers; the hub's client would try for a minute.

    Args:
        url (str): http(s). One that is reached by a proxy is left to whoever fetches from it.

    Raises:
        UserError: If nothing answers.
    """
    parts = urlsplit(url)
    host = parts.hostname or ''
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    try:
        port = parts.port or socket.getservbyname(parts.scheme)
        socket.create_connection((host, port), timeout=ANSWER).close()
    except OSError as error:
        raise UserError(f'{host} does not answer: {error.strerror or error}') from error


def _reason(error):
    """What went wrong, without the address that some errors quote."""
    if isinstance(error, TimeoutError):
        return f'nothing has come in {SILENCE} seconds'
    if isinstance(error, OSError):
        return f'{type(error).__name__}: {error.strerror or "no more is known"}'
    if isinstance(error, http.client.IncompleteRead):
        return 'it was cut off'
    return 'the address is none' if isinstance(error, str) else type(error).__name__


def _open(url):
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition('@')
    request = urllib.request.Request(urlunsplit((*parts[:1], host, *parts[2:4], '')))
    request.add_header('User-Agent', 'mmscale')
    if login:
        encoded = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header('Authorization', f'Basic {encoded}')
    opener = urllib.request.build_opener(_Redirects)
    return _within(PATIENCE, lambda: opener.open(request, timeout=SILENCE))


def _within(seconds, work):
    """What `work` returns, if it does so in time: a server may send a header letter by letter."""
    future: Future = Future()

    def run():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except FutureTimeout as error:
        if future.done():
            raise
        raise UserError(f'no answer within {seconds} seconds') from error


def _save(response, path):
    promised, start, received = response.headers.get('Content-Length'), time.monotonic(), 0
    with open(path, 'wb') as file:
        while block := response.read1(BLOCK):
            file.write(block)
            received += len(block)
            if time.monotonic() - start > PATIENCE * (1 + received / 1e6):
                raise UserError(f'only {received} bytes have come in {PATIENCE} seconds and more')
            if received > LARGEST:
                raise UserError(f'more than {LARGEST} bytes have come')
    if promised and promised.isdigit() and received != int(promised):
        raise UserError(f'it was cut off: {received} of {promised} bytes have come')


def folder_of(url: str) -> str:
    """A name for the folder of what a URL gives: other places have files of the same name."""
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition('@')[2])
    return hashlib.sha256(urlunsplit(place).encode()).hexdigest()[:16]
