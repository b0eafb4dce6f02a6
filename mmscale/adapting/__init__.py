"""This package's backbones in any config: ``mmscale adapt``, ``--backbone``, ``mmscale.adapt``.

`observing` sees what the old backbone hands out, `hosts` where it stands; the rules are `levels`
(which maps), `channels` (who reads them), `pictures`, `carrying` and `optimiser`; `writing` makes a
child config of the changes, `proving` lets a small batch through the result.
"""

from mmscale.adapting.adapting import Adaptation, adapt, plan

__all__ = ['Adaptation', 'adapt', 'plan']
