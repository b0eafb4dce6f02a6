_base_ = '../mask_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.type = 'mmscale.ReXNetLite'
# The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
model.backbone.init_cfg.checkpoint = None
model.neck.in_channels = list(feature_channels(**model.backbone))
