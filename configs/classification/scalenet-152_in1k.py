_base_ = './scalenet-50_in1k.py'

model = dict(backbone=dict(depth=152))
