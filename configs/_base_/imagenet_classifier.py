"""What all ImageNet classifiers have beside their backbone and the kind of their head."""

model = dict(
    type='mmscale.ImageClassifier',
    neck=dict(type='GlobalAveragePooling'),
    head=dict(num_classes=1000, topk=(1, 5)),
)
