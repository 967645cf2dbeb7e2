"""`python -m world.train`, the same as `neverblink train`."""

from __future__ import annotations

import sys

from world.train.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
