"""The data sets that a config names, wherever they stand in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmscale.errors import UserError


def sets_with_pipeline(dataset: Any) -> Iterator[Any]:
    """Yield the data sets of a loader that have a pipeline: itself, or those it wraps or joins."""
    if not isinstance(dataset, Mapping):
        return
    if dataset.get('pipeline') is not None:
        yield dataset
    yield from sets_with_pipeline(dataset.get('dataset'))
    for inner in dataset.get('datasets') or ():
        yield from sets_with_pipeline(inner)


def test_set(cfg: Mapping[str, Any]) -> Any:
    """The data set whose pipeline and classes an inference takes.

    Args:
        cfg (mmengine.Config): The test set's, or of a config without one the validation set's; of
            sets that wrap or join others, the first inner one.

    Raises:
        UserError: If the config has neither, or its set has no pipeline.
    """
    split = next((s for s in ('test', 'val') if cfg.get(f'{s}_dataloader')), None)
    if split is None:
        raise UserError(
            'the config has no test_dataloader and no val_dataloader, whose pipeline and classes '
            'are needed: give it one of them'
        )
    dataset = cfg[f'{split}_dataloader'].get('dataset')
    found = next(sets_with_pipeline(dataset), None)
    if found is None:
        raise UserError(
            f'{split}_dataloader.dataset={dataset!r:.80} has no pipeline, and no set with one in '
            'it: give it one'
        )
    return found
