"""How long the page of a detector's test takes, beyond the test, and how large it is.

    python docs/benchmarks/report.py [--images 5000] [--classes 80] [--keep FOLDER]

Detections are drawn by chance, about ninety in a picture, as many as COCO allows.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/helpers'))

from kept_tests import detections, detector  # noqa: E402

from mmscale.reports.page.writing import write_report  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--keep', help='a folder for the files; a temporary one otherwise')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.keep or temporary) / 'run'
        truth, found = detections(args.images, args.classes, objects=7, noise=80)
        detector(folder, (truth, found))
        start, processor = time.perf_counter(), time.process_time()
        page = write_report([folder])
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        print(
            f'{len(truth["images"])} pictures, {len(truth["annotations"])} objects, '
            f'{len(found)} detections: {seconds:.0f} s ({processor:.0f} s of the processor), '
            f'{page.stat().st_size / 1e6:.1f} MB'
        )


if __name__ == '__main__':
    main()
