"""Settings of single parameters in the optimiser that name parts of the old backbone."""

from collections.abc import Callable, Iterator, Sequence

from mmengine.config import Config

from mmscale.adapting.changes import Change, look_up
from mmscale.registry import type_name

# They give every layer of the backbones that they know a learning rate of its own.
BY_LAYER = (
    'LayerDecayOptimizerConstructor',
    'LearningRateDecayOptimizerConstructor',
    'LearningRateDecayOptimWrapperConstructor',
)
OF_BY_LAYER = ('decay_rate', 'decay_type', 'num_layers')
DEFAULT = 'DefaultOptimWrapperConstructor'
PATH = ('optim_wrapper', 'paramwise_cfg')


def optimiser_changes(
    cfg: Config, old: Sequence[str], new: Callable[[], Sequence[str]]
) -> Iterator[Change]:
    """The changes that leave nothing in ``optim_wrapper`` about parameters that are gone.

    Args:
        cfg (mmengine.Config): The whole config.
        old (Sequence[str]): Parameters of the old backbone, named from the model down.
        new (Callable): Gives all parameters of the new model; it is built only if need be.
    """
    given = look_up(cfg, PATH)
    if not isinstance(given, dict):
        return
    left, reasons = dict(given), []
    kind = look_up(cfg, ('optim_wrapper', 'constructor'))
    if kind and type_name(kind) in BY_LAYER:
        yield Change(
            ('optim_wrapper', 'constructor'),
            DEFAULT,
            f"{type_name(kind)} knows the old backbone's layers alone",
        )
        for key in OF_BY_LAYER:
            left.pop(key, None)
        reasons.append('no learning rate for every layer')
    gone = _gone(left.get('custom_keys') or {}, old, new)
    if gone:
        left['custom_keys'] = {k: v for k, v in left['custom_keys'].items() if k not in gone}
        reasons.append(f"without what named the old backbone's parts: {', '.join(gone)}")
    if reasons:
        yield Change(PATH, left, '; '.join(reasons), instead=True)


def _gone(keys, old, new):
    """Keys that name the old backbone's parameters and, in the new model, none at all.

    mmengine looks for a key anywhere in a parameter's name.
    """
    named = [key for key in keys if any(key in name for name in old)]
    suspects = [key for key in named if not key.endswith('backbone')]
    if not suspects:
        return []
    left = new()
    return [key for key in suspects if not any(key in name for name in left)]
