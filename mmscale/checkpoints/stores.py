"""Stores that mmengine knows by a scheme, ``torchvision://resnet50``: the addresses of their files.

mmengine itself would unpickle what it gets from them, and run code that it carries.
"""

import re

from mmengine.runner import checkpoint as mmengines
from mmengine.runner.checkpoint import CheckpointLoader

from mmscale.errors import UserError

TORCHVISION = ('torchvision', 'modelzoo')
OPENMMLAB = ('open-mmlab', 'openmmlab')


def scheme_of(source: str) -> str:
    """The scheme of a name, in small letters; '' for a path."""
    found = re.match(r'([a-z][\w.+-]*)://', source, re.IGNORECASE)
    return found[1].lower() if found else ''


def is_mmengines(source: str) -> bool:
    """Whether a name is in a store that only mmengine can read."""
    scheme = scheme_of(source)
    known = f'{scheme}://' in CheckpointLoader._schemes
    return known and scheme not in ('http', 'https', 'timm', *TORCHVISION, *OPENMMLAB)


def address_of(source: str) -> str | None:
    """The URL of what a store of mmengine's lists; None if `source` names no store.

    Args:
        source (str): ``torchvision://NAME`` or ``open-mmlab://NAME``.

    Raises:
        UserError: If it lists no such name, or a file without a URL.
    """
    scheme, name = scheme_of(source), source.partition('://')[2]
    if scheme in TORCHVISION:
        listed = mmengines.get_torchvision_models()
    elif scheme in OPENMMLAB:
        listed = mmengines.get_external_models()
        name = mmengines.get_deprecated_model_names().get(name, name)
    else:
        return None
    address = str(listed.get(name))
    if not address.startswith(('http://', 'https://')):
        raise UserError(
            f'checkpoint {source!r}: {scheme}:// has no address under that name, and a file would '
            'be read by mmengine, which runs code that it may carry'
        )
    return address
