"""Checkpoint files: found, fetched and read, without running code that they may carry."""

import hashlib
import os
import re
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mmscale.checkpoints.archives import records_of
from mmscale.checkpoints.damage import damage_of
from mmscale.checkpoints.fetching import fetch, folder_of, reach
from mmscale.checkpoints.plain import Unsafe
from mmscale.checkpoints.stores import address_of, is_mmengines
from mmscale.checkpoints.unpickling import Storages, TooLarge, check_extent, safe_pickle
from mmscale.errors import UserError, first_line, without_secrets

TIMM_SCHEME = 'timm://'
TIMM_FILES = ('model.safetensors', 'pytorch_model.bin')
ARCHIVE = b'PK\3\4'
MAGIC = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # a number that PyTorch's older format begins with
TRUST = (
    'if you trust where it comes from, say --trust-checkpoint on the command line, or '
    'trust_checkpoint=True in init_cfg'
)
WITHOUT = (
    '--cfg-options model.backbone.init_cfg.checkpoint=FILE takes a local file, '
    '--cfg-options model.backbone.init_cfg=None trains without any '
    '(model.init_cfg where the config names the weights of a whole classifier)'
)


def find_file(source: str | Path) -> Path:
    """The local file of a checkpoint, fetched first if need be.

    Args:
        source (str | Path): A path; a http(s) URL, kept in torch's hub folder, or one that mmengine
            knows as ``torchvision://NAME`` or ``open-mmlab://NAME``; or ``timm://NAME``, a model of
            timm's on the Hugging Face hub, kept in that hub's cache (``timm://rexnet_100`` means
            ``timm://rexnet_100.nav_in1k``).

    Returns:
        Path: The file.

    Raises:
        UserError: If it is not there, cannot be fetched, or is not what the checksum in a URL's
            name (``name-0123abcd.pth``: the first digits of its SHA-256) says.
    """
    source = str(source)
    if source.startswith(TIMM_SCHEME):
        return _from_timm(source)
    if re.match('https?://', source, re.IGNORECASE):
        return _from_url(source)
    address = address_of(source)
    if address:
        return _from_url(address)
    if is_mmengines(source):
        raise UserError(
            f'checkpoint {source!r} would be read by mmengine, which runs code that it may carry; '
            'fetch it and give the file, or say --trust-checkpoint'
        )
    path = Path(source).expanduser()
    if not os.path.isfile(path):
        found = 'is a folder' if os.path.isdir(path) else 'is missing'
        inside = max(path.glob('*.pth'), default=None, key=os.path.getmtime)
        remedy = f'one in it is {str(inside)!r}' if inside else 'give a file, a URL or timm://NAME'
        raise UserError(f'checkpoint {source!r} {found}; {remedy}')
    return path


def _from_timm(source):
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import EntryNotFoundError

    name = source.removeprefix(TIMM_SCHEME)
    if not re.fullmatch(r'\w+(\.\w+)?', name):
        raise UserError(
            f'{source!r} is not a name that timm has; an example: timm://rexnet_100.nav_in1k'
        )
    repo = f'timm/{name if "." in name else name + ".nav_in1k"}'
    cached = (try_to_load_from_cache(repo, file) for file in TIMM_FILES)
    for path in cached:
        if isinstance(path, str):
            return Path(path)
    try:
        reach(ENDPOINT)
        try:
            return Path(hf_hub_download(repo, TIMM_FILES[0]))
        except EntryNotFoundError:  # the hub has only the older format
            return Path(hf_hub_download(repo, TIMM_FILES[1]))
    except Exception as error:  # of the network, the proxy, the hub: the remedy is the same
        reason = error if isinstance(error, UserError) else error.__cause__ or error
    page = f'https://huggingface.co/{repo}'
    raise UserError(
        f'weights {source!r} are not in the cache and cannot be fetched ({first_line(reason)}). '
        f'Get them by hand: save {page}/resolve/main/model.safetensors anywhere and name that '
        f'file, or run "hf download {repo} model.safetensors" where there is a network and copy '
        f'the cache ($HF_HOME, ~/.cache/huggingface). {WITHOUT}'
    ) from reason


def _from_url(url):
    shown = without_secrets(url)
    name = re.split('[?#]', url)[0].rpartition('/')[2]
    if not re.fullmatch(r'[\w.%+~,=-]*[\w%+~,=-][\w.%+~,=-]*', name):
        raise UserError(f'{shown!r} names no file; it should end in NAME.pth or NAME.safetensors')
    try:
        folder = folder_of(url)
    except ValueError:
        raise UserError(f'{shown!r} is not an address') from None
    kept = Path(torch.hub.get_dir()) / 'checkpoints'
    path = kept / 'mmscale' / folder / name
    checksum = _checksum(name)
    if checksum and (kept / name).is_file() and sha256(kept / name).startswith(checksum):
        return kept / name  # another program of torch's has fetched it
    if path.is_file():
        if checksum and not sha256(path).startswith(checksum):
            raise UserError(
                f'{path}, kept from {shown!r}, is not the file its name says; remove it'
            )
        return path

    def check(fetched):
        found = sha256(fetched)
        if checksum and not found.startswith(checksum):
            raise UserError(f'its SHA-256 is {found}, not {checksum} as its name says')
        _check_format(fetched)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fetch(url, path, check)
    except (UserError, OSError) as error:
        reason = error if isinstance(error, UserError) else first_line(error)
        raise UserError(
            f'checkpoint {shown!r} cannot be fetched, and was not kept: {reason}. Get it by hand '
            f'and save it as {path}, or anywhere: {WITHOUT}'
        ) from None
    return path


def _checksum(name):
    """The first digits of the SHA-256 in a file's name, or None; digits alone are a date."""
    found = re.search(r'-([0-9a-f]{8,64})\.(pth|pt|bin|safetensors)(\.tar)?$', name.lower())
    if found is None or (found[1].isdigit() and len(found[1]) < 64):
        return None
    return found[1]


def sha256(path: str | Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_file(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint: PyTorch's formats or safetensors, whatever its suffix.

    Args:
        path (str | Path): The file (see :func:`find_file`).
        trust (bool): Unpickle everything in the file, code too.

    Returns:
        dict: What is in it, tensors on the CPU.

    Raises:
        UserError: If it is not a checkpoint (empty, cut off, a web page, another format), or
            carries anything but tensors, plain containers and what mmengine's own checkpoints hold.
    """
    path = Path(path)
    if _check_format(path) == 'safetensors':
        return _read_safetensors(path)
    if damage := damage_of(path):
        raise UserError(f'{path} {damage}; fetch it again, or take another')
    content = _read_pickle(path, trust)
    if not isinstance(content, dict):
        raise UserError(f'{path} holds a {type(content).__name__}, not a dict of tensors')
    return content


def _check_format(path):
    """'safetensors' or 'pickle'; anything else is refused by what it is."""
    with open(path, 'rb') as file:
        head = file.read(512)
    if not head:
        raise UserError(f'{path} is empty; fetch it again')
    start = head.lstrip(b'\xef\xbb\xbf \t\r\n')[:64].lower()
    if start.startswith(b'version https://git-lfs'):
        raise UserError(f'{path} is a Git LFS pointer, not the file itself; run "git lfs pull"')
    if start.startswith((b'<!', b'<html', b'<?xml', b'<head', b'<script')):
        raise UserError(
            f'{path} is a web page, not weights: the link leads to a page about the file. Open it '
            'in a browser and save the file that it offers'
        )
    if head[8:9] == b'{':
        _check_safetensors(path)
        return 'safetensors'
    if head.startswith(ARCHIVE):
        records_of(path)
    elif MAGIC not in head[:32] or _is_tar(path):
        raise UserError(
            f'{path} is neither a PyTorch checkpoint nor safetensors: it begins with {head[:16]!r}'
        )
    return 'pickle'


def _is_tar(path):
    """The oldest format of PyTorch, which unpacks files; a tar archive may begin with anything."""
    try:
        tarfile.open(path, 'r:').close()
    except (tarfile.TarError, ValueError, EOFError):
        return False
    return True


def _check_safetensors(path):
    with _safetensors(path):
        """Opening compares the list of tensors with the size of the file."""


def _read_safetensors(path):
    with _safetensors(path) as file:
        names = list(file.keys())
        state_dict = {name: file.get_tensor(name) for name in names}
        return dict(state_dict=state_dict, meta=file.metadata() or {})


@contextmanager
def _safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, 'pt') as file:
            yield file
    except (SafetensorError, AttributeError) as error:  # torch may lack the number format
        raise UserError(
            f'{path} is damaged or cut off ({first_line(error)}); fetch it again'
        ) from error


def _read_pickle(path, trust):
    # Not weights_only: torch 2.1 cannot be told what else is safe, and its own check can be escaped
    # (CVE-2025-32434). One rule for every version, and no code runs before it is known.
    with open(path, 'rb') as file:
        records = records_of(path) if file.read(4) == ARCHIVE else None
    module = safe_pickle(Storages(records, path.stat().st_size))
    options: dict = {} if trust else dict(pickle_module=module)
    try:
        content = torch.load(path, map_location='cpu', weights_only=False, **options)
        if not trust:
            check_extent(content)
        return content
    except Unsafe as error:
        raise UserError(
            f'{path} carries {error}, which is not a tensor and may run code when it is loaded; '
            f'it was not loaded; {TRUST}'
        ) from None
    except TooLarge as error:
        raise UserError(f'{path} holds {error}; it was not loaded; {TRUST}') from None
    except Exception as error:  # damaged bytes can raise anything
        raise UserError(
            f'{path} is damaged or cut off ({first_line(error)}); fetch it again'
        ) from error
