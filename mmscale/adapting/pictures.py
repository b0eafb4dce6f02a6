"""Pictures as the new weights expect them: channel order, mean and standard deviation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmscale.adapting.changes import Change, Path, look_up
from mmscale.adapting.hosts import Host
from mmscale.registry import type_name

KEY = 'data_preprocessor'


def picture_changes(
    cfg: Config, host: Host, name: str, mean: Sequence[float], std: Sequence[float]
) -> Iterator[Change]:
    """The changes of every data preprocessor that normalises the detector's pictures.

    Args:
        cfg (mmengine.Config): The whole config.
        host (Host): The model that has the backbone.
        name (str): Of the new backbone.
        mean, std (Sequence[float]): Of its pictures, in RGB.
    """
    for path, given in preprocessors(cfg, host):
        # mmpretrain's have another word for it.
        order = 'to_rgb' if 'to_rgb' in given or _of_classifier(cfg, given) else 'bgr_to_rgb'
        wanted: dict[str, Any] = {'mean': list(mean), 'std': list(std), order: True}
        if given.get('rgb_to_bgr'):
            wanted['rgb_to_bgr'] = False
        changed = {key: v for key, v in wanted.items() if not _same(given.get(key), v)}
        why = f'{name} expects RGB{_was(given)}'
        for key, value in changed.items():
            yield Change((*path, key), value, why)
            why = ''


def preprocessors(cfg: Config, host: Host) -> list[tuple[Path, Mapping[str, Any]]]:
    """The data preprocessors that see the detector's pictures, by their paths.

    One beside the model counts only where the model has none, as in mmengine.
    """
    found: dict[Path, Mapping[str, Any]] = {}
    for path in dict.fromkeys((('model',), host.path)):
        found.update(_inside(look_up(cfg, (*path, KEY)), (*path, KEY)))
    if not found:
        found.update(_inside(cfg.get(KEY), (KEY,)))
    return list(found.items())


def _inside(given: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """A data preprocessor, or the one that it wraps."""
    if isinstance(given, Mapping):
        if KEY in given:
            yield from _inside(given[KEY], (*path, KEY))
        else:
            yield path, given


def _of_classifier(cfg, given):
    return cfg.get('default_scope') == 'mmpretrain' and type_name(
        given.get('type', 'ClsDataPreprocessor')
    ) in ('ClsDataPreprocessor', 'SelfSupDataPreprocessor')


def _same(given, wanted):
    if isinstance(wanted, list):
        return given is not None and list(given) == wanted
    return given is wanted


def _was(given):
    if given.get('mean') is None:
        return '; pictures were not normalised before'
    order = 'RGB' if given.get('bgr_to_rgb') or given.get('to_rgb') else 'BGR'
    return f', mean and std of its own; it was {order}, mean {list(given["mean"])}'
