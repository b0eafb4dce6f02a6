"""From a config to a file with its child, which has another backbone and was proven."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmscale.adapting.adapting import plan
from mmscale.adapting.proving import prove
from mmscale.adapting.writing import base_name, child
from mmscale.engine.config import config_stem, load_config
from mmscale.errors import UserError
from mmscale.families import backbone_name
from mmscale.utils.files import check_out, written_aside


class Written(NamedTuple):
    """A child config that was kept.

    Attributes:
        path (Path): The file.
        notes (list[str]): What is to be said of it.
        unproven (str | None): Why the proof says nothing; None if it went well, or was not
            asked for.
    """

    path: Path
    notes: list[str]
    unproven: str | None


def adapt_file(
    config: str,
    backbone: str,
    arguments: Mapping[str, Any],
    out: str | Path,
    *,
    proof: bool = True,
    force: bool = False,
) -> Written:
    """Write the child of a config that has another backbone, if it works.

    Args:
        config (str): As in :func:`mmscale.engine.config.load_config`.
        backbone (str): Its name.
        arguments (dict): Of the backbone, all but `out_indices`.
        out (str | Path): The child, NAME.py.
        proof (bool): Build its model and let one small batch through loss and prediction.
        force (bool): Write over a file that is there.

    Returns:
        Written: The file.

    Raises:
        UserError: See :func:`mmscale.adapt`, or the file is there. Nothing is written.
    """
    former = load_config(config)
    out = check_out(out, ('.py',), inputs=[former.filename])
    if out.exists() and not force:
        raise UserError(f'{str(out)!r} is there, and may have been edited: --force writes over it')
    found = plan(former, backbone, arguments)
    title = f'{config_stem(config)} with {backbone_name(backbone)}.'
    if Config._is_lazy_import(former.filename):  # no text config can inherit from it
        text = f'"""{title} The whole of it, as the other is a pure-Python config."""\n\n'
        text += found.cfg.pretty_text
    else:
        text = child(base_name(config, former, out), title, former, found.changes)
    with written_aside(out) as temporary:
        temporary.write_text(text, encoding='utf-8')
        unproven = prove(load_config(temporary), former) if proof else None
    return Written(out, found.notes, unproven)
