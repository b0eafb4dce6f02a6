_base_ = './scalenet-50_in1k.py'

model = dict(backbone=dict(structure='scalenet50_light'))
