"""Metrics. Each needs one of OpenMMLab's packages, so it is imported when it is first built."""

from mmscale.registry import METRICS, stand_in

METRICS.register_module(
    name='FasterCocoMetric', module=stand_in('FasterCocoMetric', 'mmscale.evaluation.coco')
)
METRICS.register_module(
    name='WorstClasses', module=stand_in('WorstClasses', 'mmscale.evaluation.confusion')
)
