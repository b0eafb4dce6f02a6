"""Template: Faster R-CNN with ReXNet 1.0 on a data set of your own, in COCO's format.

Copy this file, state your classes and paths, and train: python tools/train.py my_config.py
(see docs/own_dataset.md). For masks, inherit from its mask-rcnn sibling and set mask_head's
num_classes too.
"""

_base_ = 'mmscale::rexnet/faster-rcnn_rexnet-100_fpn_1x_coco.py'

classes = ('first', 'second', 'third')  # spelling and order of the annotation files
data_root = 'data/own/'
train_set = dict(ann_file='annotations/train.json', data_prefix=dict(img='train/'))
val_set = dict(ann_file='annotations/val.json', data_prefix=dict(img='val/'))

# From here on everything follows from the lines above.
metainfo = dict(classes=classes)
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, **train_set))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, **val_set))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}/{val_set["ann_file"]}')
test_evaluator = val_evaluator
