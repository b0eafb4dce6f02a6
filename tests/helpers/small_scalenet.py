"""A small ScaleNet whose neurons are allocated."""

from commands import tool

import mmscale.models.classifiers  # noqa: F401  (registers the classifier)
from mmscale.structures import seed

DEPTH = (2, 1, 1, 1)
SCALES = (1, 2, 4)
SMALL = dict(type='mmscale.ScaleNet', base_channels=8, structure=seed(40, DEPTH, SCALES))
CLASSIFIER = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(SMALL, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead', num_classes=5, in_channels=256, loss=dict(type='CrossEntropyLoss')
    ),
)
BASE = dict(
    default_scope='mmpretrain',
    custom_imports=dict(imports=['mmscale.models.classifiers'], allow_failed_imports=False),
)


def allocate(*arguments):
    """Call the tool."""
    tool('allocate_neurons')([str(argument) for argument in arguments])
