"""Pictures and videos in; drawn ones and JSON out: ``mmscale infer``."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmscale.datasets.pictures import list_pictures
from mmscale.engine.tuning import fused_on_cpu
from mmscale.errors import UserError, check_whole
from mmscale.inference.predictor import SCORE, Predictor, load
from mmscale.inference.results import Result
from mmscale.inference.videos import describe_video, is_video, video_writer
from mmscale.utils.figures import encode, write_png
from mmscale.utils.files import writing, written_aside
from mmscale.utils.progress import Bars


def infer(
    weights: str,
    pictures: Sequence[str],
    out: str,
    *,
    config: str | None = None,
    score: float = SCORE,
    batch_size: int = 1,
    device: str = 'cpu',
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Find, classify or segment what pictures show.

    Args:
        weights (str): As the `source` of :func:`mmscale.load`.
        config, overrides: As there.
        pictures (Sequence[str]): Files, folders of such, and videos.
        out (str): A folder: the drawn pictures go to ``OUT/vis``, all predictions to
            ``OUT/predictions.json``, the maps of a segmentor to ``OUT/maps``.
        score (float): Boxes below are not drawn (they are in the JSON).
        batch_size (int): Pictures at a time.
        device (str): Of a checkpoint's model; exported files run on the CPU.
        trust_checkpoint (bool): Let the checkpoint run code.

    Returns:
        list[dict]: What is in the JSON, one for each picture: `picture`; of a video's `frame` (its
        number, from 0); of a detector `bboxes` (x1, y1, x2, y2 in pixels), `scores`, `labels`,
        `names` and perhaps `masks` (COCO's RLE); of a classifier `pred_label`, `pred_score`,
        `pred_scores` and perhaps `pred_class`; of a segmentor `map` (a path: a PNG with the number
        of the class of every pixel) and `shares` (of the classes in the pixels, by name).

    Raises:
        UserError: If a picture cannot be read, or the model does not fit.
    """
    check_whole('--batch-size', batch_size)
    if not 0 <= score <= 1:
        raise UserError(f'--score {score} must be from 0 to 1')
    videos = {str(path): describe_video(str(path)) for path in pictures if is_video(path)}
    given = [path for path in pictures if not is_video(path)]
    paths = list_pictures(given) if given else []
    _check_names([*paths, *videos], lambda path: path.name)
    model = load(
        weights,
        config=config,
        device=device,
        trust_checkpoint=trust_checkpoint,
        overrides=overrides,
    )
    if model.task != 'detector':  # which has files that all end in .png
        _check_names([*paths, *videos], lambda path: path.stem)
    folder = Path(out)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UserError(f'{str(out)!r} is a file; give a folder to write to')
    results = []
    with writing(folder):
        (folder / 'vis').mkdir(parents=True, exist_ok=True)
        if model.task == 'segmentor':
            (folder / 'maps').mkdir(exist_ok=True)
        total = len(paths) + sum(count for _, count in videos.values())
        model.model = fused_on_cpu(model.model, total)
        with Bars().shown() as bars:
            bar = bars.start('pictures', total or None)
            options: dict[str, Any] = dict(threshold=0.0, batch=batch_size, top=1)
            for result in model.predict(iter(paths), **options):
                _write_drawn(result, model, folder / 'vis', score)
                results.append(_described(result, folder))
                bar.step()
            for path, (rate, _) in videos.items():
                with video_writer(folder / 'vis' / f'{Path(path).stem}.mp4', rate) as add:
                    for result in model.predict(path, **options):
                        add(result.draw(score))
                        results.append(_described(result, folder))
                        bar.step()
    with written_aside(folder / 'predictions.json') as temporary:
        temporary.write_text(json.dumps(results) + '\n', encoding='utf-8')
    return results


def _check_names(paths: Sequence[str], name_of: Callable[[Path], str]) -> None:
    """Refuse two pictures whose drawn files would have one name."""
    names: dict[str, str] = {}
    for path in paths:
        other = names.setdefault(name_of(Path(path)), path)
        if other is not path:
            raise UserError(f'{other} and {path} have one name: give them in two runs')


def _write_drawn(result: Result, model: Predictor, folder: Path, score: float) -> None:
    path = Path(str(result.path))
    name = f'{path.stem}.png' if model.task == 'classifier' else path.name
    (folder / name).write_bytes(encode(result.draw(score), Path(name).suffix))


def _described(result: Result, folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = dict(picture=result.path)
    if result.frame is not None:
        entry['frame'] = result.frame
    if result.map is not None:
        number = '' if result.frame is None else f'_{result.frame:06d}'
        target = folder / 'maps' / f'{Path(str(result.path)).stem}{number}.png'
        # The smallest format that holds the numbers of all classes.
        kind = np.uint8 if len(result.drawing.classes or ()) <= 256 else np.uint16
        entry['map'] = str(write_png(target, result.map.astype(kind)))
    return {**entry, **result.to_dict()}
