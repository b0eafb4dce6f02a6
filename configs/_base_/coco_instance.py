"""The COCO data of coco_detection.py with masks, as mmdet's own coco_instance.py has them."""

_base_ = './coco_detection.py'

train_pipeline, train_dataloader = _base_.train_pipeline, _base_.train_dataloader
test_pipeline, val_dataloader = _base_.test_pipeline, _base_.val_dataloader
train_pipeline[1].with_mask = train_dataloader.dataset.pipeline[1].with_mask = True
test_pipeline[2].with_mask = val_dataloader.dataset.pipeline[2].with_mask = True
test_dataloader = val_dataloader

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
