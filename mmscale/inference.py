"""Pictures in; drawn pictures and JSON out: from a checkpoint or from an exported file alike."""

import json
from pathlib import Path

import cv2
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmscale import checkpoints
from mmscale.environment import check_operators, require
from mmscale.errors import UserError
from mmscale.export.files import ExportedFile, is_exported
from mmscale.files import written_aside
from mmscale.running import build_model, load_config
from mmscale.runtime import CLASSIFIERS, DETECTORS, runtime_config

PICTURES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
SCORE = 0.3


def load_model(cfg, checkpoint, *, trust=False):
    """A detector or classifier with its weights, in eval mode, as inferencers take it.

    Args:
        cfg (mmengine.Config): Its config.
        checkpoint (str): As in :func:`mmscale.running.test`.
        trust (bool): Let it run code.

    Returns:
        mmengine.model.BaseModel: With ``cfg``, made for inference, and ``dataset_meta``: the
        checkpoint's classes, or the config's.

    Raises:
        UserError: If the checkpoint does not fit.
    """
    scope = cfg.get('default_scope')
    if scope not in (DETECTORS, CLASSIFIERS) or 'model' not in cfg:
        raise UserError(f"the config's default_scope {scope!r} must be mmdet or mmpretrain")
    if scope == DETECTORS:
        check_operators()
    model = build_model(cfg)
    content, _ = checkpoints.read_weights(checkpoint, trust=trust)
    checkpoints.load(model, checkpoint, trust=trust, whole=True)
    return _ready(model, runtime_config(cfg, (content.get('meta') or {}).get('dataset_meta')))


def _ready(model, described):
    """A model in eval mode, with what inferencers read off it."""
    model.cfg = model._config = Config(_tuples(described))
    metainfo = model.cfg.test_dataloader.dataset.metainfo
    # A list of colours: to mmdet a tuple is one colour for all.
    palette = list(metainfo.get('palette') or ()) or 'random'
    model.dataset_meta = dict(classes=metainfo.get('classes'), palette=palette)
    model._dataset_meta = model.dataset_meta  # mmpretrain's name
    return model.eval()


def _tuples(value):
    """JSON's lists of numbers and names as tuples, which mmcv's transforms tell from lists."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_tuples(inner) for inner in value]
        return items if any(isinstance(item, dict) for item in items) else tuple(items)
    return value


def open_model(weights, config=None, *, trust=False, overrides=None):
    """A model from an exported file, or from a config and a checkpoint.

    Args:
        weights (str): The exported file, or the checkpoint.
        config (str, optional): Path or bare name; a checkpoint needs it.
        trust (bool): Let the checkpoint run code.
        overrides (dict, optional): As in :func:`mmscale.running.load_config`.

    Returns:
        mmengine.model.BaseModel: See :func:`load_model`.

    Raises:
        UserError: If the arguments do not fit each other or the files cannot be read.
    """
    if not is_exported(weights):
        if config is None:
            raise UserError(f'checkpoint {weights!r} needs its config: --config CONFIG')
        return load_model(load_config(config, overrides), weights, trust=trust)
    from mmscale.export.models import ExportedClassifier, ExportedDetector

    if config is not None or overrides:
        raise UserError(f'{weights} is an exported file, which is complete: leave the config out')
    file = ExportedFile(weights)
    described = file.meta['runtime']
    if file.meta['part'] not in ('detector', 'classifier'):
        raise UserError(f'{weights} holds a {file.meta["part"]}, which makes no predictions')
    require(described['default_scope'])
    init_default_scope(described['default_scope'])
    kind = ExportedDetector if file.meta['part'] == 'detector' else ExportedClassifier
    return _ready(kind(file), described)


def infer(
    weights,
    pictures,
    out,
    *,
    config=None,
    score=SCORE,
    batch_size=1,
    device='cpu',
    trust_checkpoint=False,
    overrides=None,
):
    """Find or classify what pictures show.

    Args:
        weights, config, overrides: As in :func:`open_model`.
        pictures (Sequence[str]): Files, and folders of such.
        out (str): A folder: the drawn pictures go to ``OUT/vis``, all predictions to
            ``OUT/predictions.json``.
        score (float): Boxes below are not drawn (they are in the JSON).
        batch_size (int): Pictures at a time.
        device (str): Of a checkpoint's model; exported files run on the CPU.
        trust_checkpoint (bool): Let the checkpoint run code.

    Returns:
        list[dict]: What is in the JSON, one for each picture: `picture`; of a detector `bboxes`
        (x1, y1, x2, y2 in pixels), `scores`, `labels`, `names` and perhaps `masks` (COCO's RLE);
        of a classifier `pred_label`, `pred_score`, `pred_scores` and perhaps `pred_class`.

    Raises:
        UserError: If a picture cannot be read, or the model does not fit.
    """
    if batch_size < 1 or not 0 <= score <= 1:
        raise UserError(f'batch size {batch_size} must be 1 or more, score {score} from 0 to 1')
    paths = list_pictures(pictures)
    names: dict = {}
    for path in paths:
        other = names.setdefault(Path(path).name, path)
        if other is not path:
            raise UserError(f'{other} and {path} have one name: give them in two runs')
    model = open_model(weights, config, trust=trust_checkpoint, overrides=overrides)
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's own words for what there is not
        raise UserError(f'--device {device!r}: {str(error).partition(chr(10))[0]}') from error
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f'{str(out)!r} is a file; give a folder to write to')
    out.mkdir(parents=True, exist_ok=True)
    if model.cfg.default_scope == DETECTORS:
        results = _detect(model, paths, out, score, batch_size)
    else:
        results = _classify(model, paths, out, batch_size)
    results = [dict(picture=path, **result) for path, result in zip(paths, results)]
    with written_aside(out / 'predictions.json') as temporary:
        temporary.write_text(json.dumps(results) + '\n', encoding='utf-8')
    return results


def _detect(model, paths, out, score, batch_size):
    from mmdet.apis import DetInferencer

    class Inferencer(DetInferencer):
        """mmdet's, with a model that is there already."""

        def _init_model(self, cfg, weights, device='cpu'):
            return model

    inferencer = Inferencer(model.cfg, show_progress=False)
    options = dict(batch_size=batch_size, pred_score_thr=score, out_dir=str(out))
    results = inferencer(paths, no_save_pred=True, **options)['predictions']
    classes = model.dataset_meta['classes']
    for result in results:
        if classes:
            result['names'] = [classes[label] for label in result['labels']]
    return results


def _classify(model, paths, out, batch_size):
    from mmpretrain import ImageClassificationInferencer

    inferencer = ImageClassificationInferencer(model, pretrained=False)
    results = inferencer(paths, batch_size=batch_size, show_dir=str(out / 'vis'))
    return [{**result, 'pred_scores': result['pred_scores'].tolist()} for result in results]


def list_pictures(given):
    """The pictures among `given` and in the folders among it, each readable.

    Raises:
        UserError: If one is not, or there are none.
    """
    paths = []
    for path in map(Path, given):
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
        if not inside:
            raise UserError(f'folder {str(path)!r} has no pictures ({" ".join(PICTURES)})')
        paths += inside
    for path in paths:
        if not path.is_file():
            raise UserError(f'picture {str(path)!r} is missing')
        if cv2.imread(str(path)) is None:  # the whole of it: a head alone says nothing
            raise UserError(f'picture {str(path)!r} cannot be read: it is broken, or no picture')
    return [str(path) for path in paths]
