"""The option ``--backbone``: a config with another backbone, for one run."""

import argparse
import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmscale.adapting.files import adapt_file
from mmscale.cli.parsing import Overrides
from mmscale.engine.config import config_stem
from mmscale.families import BACKBONES, backbone_name


class BackboneAction(Overrides):
    """Reads ``NAME KEY=VALUE ...`` into the name and a dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """See argparse."""
        name, *pairs = values
        wrong = [pair for pair in pairs if '=' not in pair]
        if wrong:
            parser.error(
                f'{option_string} {name}: {wrong[0]!r} must be KEY=VALUE; what is no argument of '
                'the backbone comes before --backbone, or after another option'
            )
        holder = argparse.Namespace()
        setattr(holder, self.dest, {})
        super().__call__(parser, holder, pairs, option_string)
        setattr(namespace, self.dest, (name, getattr(holder, self.dest)))


def add_backbone(parser: argparse.ArgumentParser, **options: Any) -> None:
    """``--backbone NAME [KEY=VALUE ...]``."""
    parser.add_argument(
        '--backbone',
        nargs='+',
        action=BackboneAction,
        metavar=('NAME', 'KEY=VALUE'),
        help=f"exchange the config's backbone, and all that goes with it: {', '.join(BACKBONES)}; "
        'with its arguments, such as width_mult=1.3',
        **options,
    )


@contextlib.contextmanager
def with_backbone(
    config: Any, backbone: tuple[str, dict[str, Any]] | None, *, proof: bool = False
) -> Iterator[Any]:
    """The path of a config that has the chosen backbone, as long as the block runs.

    Args:
        config (str): As in :func:`mmscale.engine.config.load_config`; None for a command that has
            none.
        backbone (tuple[str, dict], optional): Name and arguments. None: the config as it is.
        proof (bool): Let a small batch through it first, as ``mmscale adapt`` does. It takes
            seconds, and is for runs that take hours; others run the model at once anyway.

    Raises:
        UserError: If the config cannot be adapted.
    """
    if backbone is None:
        yield config
        return
    name, arguments = backbone
    with tempfile.TemporaryDirectory(prefix='mmscale-') as folder:
        out = Path(folder, f'{config_stem(config)}_{backbone_name(name).lower()}.py')
        written = adapt_file(config, name, arguments, out, proof=proof)
        for note in written.notes:
            print_log(f'--backbone {name}: {note}', logger='current')
        if written.unproven:
            print_log(written.unproven, logger='current', level=logging.WARNING)
        yield str(written.path)
