"""mmseg's 80k steps by SGD 0.01, and its runtime."""

_base_ = ['mmseg::_base_/schedules/schedule_80k.py', './segmentation_runtime.py']
