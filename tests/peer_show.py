"""A show as a process of its own that also writes what it shows: `python -m tests.peer_show FILE OPTIONS...`.

FILE gets one line for each frame that was shown: its number, and the SHA-256 of its pixels.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from loop.__main__ import main
from loop.supervise.live_model import LiveModel


def digests(path: Path) -> dict[int, str]:
    """The frames that such a show has shown, by number."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {line["frame"]: line["sha256"] for line in lines}


def _write_digests(path: Path) -> None:
    """Let every model of this process write down the frames that are taken from it to be shown."""
    plain, file = LiveModel.pixels, path.open("w", buffering=1)

    def pixels(model: LiveModel, mark: Any) -> np.ndarray:
        found = plain(model, mark)
        file.write(json.dumps({"frame": mark.number, "sha256": hashlib.sha256(found.tobytes()).hexdigest()}) + "\n")
        return found

    LiveModel.pixels = pixels  # type: ignore[method-assign]


if __name__ == "__main__":
    _write_digests(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
