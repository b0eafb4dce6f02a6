"""First among the bases that are mmseg's or mmrotate's: mmscale has mmengine find them.

By itself, mmengine looks for distributions of upstream's names, and finds no fork of them.
"""

_base_ = []  # which makes it a text config

import mmscale  # noqa: F401
