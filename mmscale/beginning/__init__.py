"""From a folder of data to a config that trains: ``mmscale new``.

`layouts` finds out what a folder is, `coco`, `yolo`, `voc` and `class_folders` read it,
`converting` makes COCO's format of labels, `splitting` takes a validation set off, `anchors` and
`fitting` choose what fits, `writing` fills the template in, `drawing` shows what was understood,
`beginning` does it all.
"""

from mmscale.beginning.beginning import Begun, begin

__all__ = ['Begun', 'begin']
