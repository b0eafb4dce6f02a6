"""``python -m mmscale``: the command ``mmscale``."""

import sys

from mmscale.cli import main

if __name__ == '__main__':
    sys.exit(main())
