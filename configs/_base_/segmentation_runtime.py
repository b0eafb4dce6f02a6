"""mmseg's runtime, with TensorBoard scalars."""

_base_ = 'mmseg::_base_/default_runtime.py'

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(vis_backends=vis_backends)
