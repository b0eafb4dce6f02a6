"""First among the bases of a segmentor: mmscale has mmengine find the others, mmseg::NAME.

By itself, mmengine looks for a distribution called mmsegmentation, and finds no fork of it.
"""

_base_ = []  # which makes it a text config

import mmscale  # noqa: F401
