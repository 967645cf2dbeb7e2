"""`python -m tests.pretend COMMAND ...`: a command of neverblink where there is a GPU, which is pretended."""

from __future__ import annotations

import sys
from unittest.mock import patch

from loop.__main__ import main
from tests.pretend.gpu import pretended_gpu
from tests.pretend.process import run_process

if __name__ == "__main__":
    with (
        pretended_gpu(),
        patch("loop.worker.process.run_process", run_process),
        patch("loop.cli.world_options.check_device", lambda device, world: None),
    ):
        sys.exit(main())
