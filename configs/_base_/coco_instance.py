"""mmdet's COCO instance data, read from $COCO_ROOT, with COCO's own 12 figures."""

_base_ = 'mmdet::_base_/datasets/coco_instance.py'

import os

data_root = os.path.join(os.environ.get('COCO_ROOT') or 'data/coco', '')

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

# proposal_nums: recall is reported at 1, 10 and 100 detections an image, as COCO does.
val_evaluator = dict(
    ann_file=data_root + 'annotations/instances_val2017.json', proposal_nums=(1, 10, 100)
)
test_evaluator = val_evaluator
