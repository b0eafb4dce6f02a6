"""Checkpoint files: found, fetched and read, without running code that they may carry."""

import hashlib
import http.client
import re
from pathlib import Path
from typing import Any

import torch

from mmscale.checkpoints.damage import damage_of
from mmscale.checkpoints.unpickling import Unsafe, safe_pickle
from mmscale.errors import UserError, first_line

TIMM_SCHEME = 'timm://'
TRUST = (
    'if you trust where it comes from, say --trust-checkpoint on the command line, or '
    'trust_checkpoint=True in init_cfg'
)
WITHOUT = (
    '--cfg-options model.backbone.init_cfg.checkpoint=FILE takes a local file, '
    '--cfg-options model.backbone.init_cfg=None trains without any'
)


def find_file(source: str | Path) -> Path:
    """The local file of a checkpoint, fetched first if need be.

    Args:
        source (str | Path): A path; a http(s) URL, kept in torch's hub folder; or
            ``timm://NAME``, a model of timm's on the Hugging Face hub, kept in that hub's cache
            (``timm://rexnet_100`` means ``timm://rexnet_100.nav_in1k``).

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
    path = Path(source).expanduser()
    if not path.is_file():
        found = 'is a folder' if path.is_dir() else 'is missing'
        raise UserError(f'checkpoint {source!r} {found}; give a file, a URL or timm://NAME')
    return path


def _from_timm(source):
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    name = source.removeprefix(TIMM_SCHEME)
    if not re.fullmatch(r'\w+(\.\w+)?', name):
        raise UserError(
            f'{source!r} is not a name that timm has; an example: timm://rexnet_100.nav_in1k'
        )
    repo = f'timm/{name if "." in name else name + ".nav_in1k"}'
    try:
        return Path(hf_hub_download(repo, 'model.safetensors'))
    except LocalEntryNotFoundError as error:  # no network; perhaps the older format is in the cache
        cached = try_to_load_from_cache(repo, 'pytorch_model.bin')
        if isinstance(cached, str):
            return Path(cached)
        reason = error.__cause__ or error
    except EntryNotFoundError:  # the hub has no such file
        try:
            return Path(hf_hub_download(repo, 'pytorch_model.bin'))
        except Exception as error:
            reason = error
    except Exception as error:  # of the network, the proxy, the hub: the remedy is the same
        reason = error
    page = f'https://huggingface.co/{repo}'
    raise UserError(
        f'weights {source!r} are not in the cache and cannot be fetched ({first_line(reason)}). '
        f'Get them by hand: save {page}/resolve/main/model.safetensors anywhere and name that '
        f'file, or run "hf download {repo} model.safetensors" where there is a network and copy '
        f'the cache ($HF_HOME, ~/.cache/huggingface). {WITHOUT}'
    ) from reason


def _from_url(url):
    name = re.split('[?#]', url)[0].rpartition('/')[2]
    if not re.fullmatch(r'[\w.%+~,=-]*[\w%+~,=-][\w.%+~,=-]*', name):
        raise UserError(f'{url!r} names no file; it should end in NAME.pth or NAME.safetensors')
    # Files of different places have the same name: model.safetensors.
    folder = hashlib.sha256(url.encode()).hexdigest()[:16]
    path = Path(torch.hub.get_dir()) / 'checkpoints' / 'mmscale' / folder / name
    checksum = _checksum(name)
    if path.is_file():
        if checksum and not sha256(path).startswith(checksum):
            raise UserError(f'{path}, kept from {url!r}, is not the file its name says; remove it')
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # torch writes aside, compares the checksum and renames.
        torch.hub.download_url_to_file(url, str(path), checksum)
        _check_format(path)
    except UserError as error:
        path.unlink()
        raise UserError(f'what {url!r} gave was not kept: {error}') from None
    except RuntimeError as error:  # torch's word for a checksum that differs
        raise UserError(f'{url!r} was not kept: {first_line(error)}') from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(
            f'checkpoint {url!r} cannot be fetched ({first_line(error)}). Get it by hand and '
            f'save it as {path}, or anywhere: {WITHOUT}'
        ) from error
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
        return 'safetensors'
    if head.startswith(b'PK'):
        _check_archive(path)
    elif head[:1] != b'\x80':
        raise UserError(
            f'{path} is neither a PyTorch checkpoint nor safetensors: it begins with {head[:16]!r}'
        )
    return 'pickle'


def _check_archive(path):
    # By torch's own reader: to another one, a forged archive may show other files.
    try:
        names = torch._C.PyTorchFileReader(str(path)).get_all_records()
    except RuntimeError as error:
        raise UserError(
            f'{path} is cut off or no PyTorch checkpoint (an unfinished download?): '
            f'{first_line(error)}; fetch it again'
        ) from None
    if 'constants.pkl' in names:
        raise UserError(f'{path} is a TorchScript program, not a dict of tensors')
    if 'data.pkl' not in names:
        raise UserError(f'{path} is a zip archive, but no PyTorch checkpoint')


def _read_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, 'pt') as file:
            names = list(file.keys())
            state_dict = {name: file.get_tensor(name) for name in names}
            return dict(state_dict=state_dict, meta=file.metadata() or {})
    except (SafetensorError, AttributeError) as error:  # torch may lack the number format
        raise UserError(
            f'{path} is damaged or cut off ({first_line(error)}); fetch it again'
        ) from error


def _read_pickle(path, trust):
    # Not weights_only: torch 2.1 cannot be told what else is safe, and its own check can be escaped
    # (CVE-2025-32434). One rule for every version, and no code runs before it is known.
    module, sizes = safe_pickle()
    options: dict = {} if trust else dict(pickle_module=module)
    try:
        content = torch.load(path, map_location='cpu', weights_only=False, **options)
        _check_sizes(path, sizes)
        return content
    except Unsafe as error:
        raise UserError(
            f'{path} carries {error}, which is not a tensor and may run code when it is loaded; '
            f'it was not loaded; {TRUST}'
        ) from None
    except Exception as error:  # damaged bytes can raise anything
        raise UserError(
            f'{path} is damaged or cut off ({first_line(error)}); fetch it again'
        ) from error


def _check_sizes(path, sizes):
    # torch 2.1 believes a pickle that claims more numbers than its archive holds.
    with open(path, 'rb') as file:
        if file.read(2) != b'PK':
            return
    reader = torch._C.PyTorchFileReader(str(path))
    for record, size in sizes.items():
        held = len(reader.get_record(f'data/{record}'))
        if held < size:
            raise ValueError(f'data/{record} has {held} bytes, but its tensors want {size}')
