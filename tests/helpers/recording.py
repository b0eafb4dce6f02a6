"""A hook for tests: what each process of a run computed."""

import json
import os
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RecordHook(Hook):
    """Writes every loss, and in the end one number for each parameter, to RECORD/rank.json."""

    def before_run(self, runner):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss']))

    def after_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        sums = {name: float(p.double().sum()) for name, p in model.named_parameters()}
        rank = os.environ.get('RANK', '0')
        record = json.dumps(dict(losses=self.losses, sums=sums))
        Path(os.environ['RECORD'], f'{rank}.json').write_text(record)
