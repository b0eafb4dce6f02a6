"""What a classifier confuses. Needs mmpretrain."""

from typing import Any

from mmengine.logging import print_log
from mmpretrain.evaluation import ConfusionMatrix


class WorstClasses(ConfusionMatrix):
    """Logs the classes that are recognised least, and what they are taken for.

    Args:
        count (int): How many classes.
        **kwargs: :class:`mmpretrain.evaluation.ConfusionMatrix`'s.
    """

    default_prefix = 'worst'

    def __init__(self, count: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The recall, in %, of the worst class; the others are logged."""
        matrix = super().compute_metrics(results)['result']  # rows: labels; columns: predictions
        names = (self.dataset_meta or {}).get('classes') or range(len(matrix))
        images = matrix.sum(1)
        present = images.nonzero().flatten()
        recalls = 100 * matrix.diag()[present] / images[present]
        order = recalls.argsort()[: self.count]
        lines = ['Classes that are recognised least:']
        for recall, label in zip(recalls[order].tolist(), present[order].tolist()):
            wrong = matrix[label].clone()
            wrong[label] = 0
            taken = [
                f'{names[other]} ({wrong[other]})'
                for other in wrong.argsort(descending=True)[:3].tolist()
                if wrong[other]
            ]
            lines.append(
                f'  {names[label]}: {recall:.1f} % of {images[label]}; taken for '
                f'{", ".join(taken) or "nothing else"}'
            )
        print_log('\n'.join(lines), logger='current')
        return {'recall': recalls.min().item()}
