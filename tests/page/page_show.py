"""A show with a page for phones, as a process of its own, and the addresses that it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.shows import ROOT, children


class PageShow:
    """Runs until `close`. addresses: of each role. said: the file that its log goes to."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.said = folder / "log"
        command = [sys.executable, "-m", "loop", "--web", "0", "--headless", "--seed", "1", "--no-save", *options]
        with self.said.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.addresses = {}
        for line in self.process.stdout:
            if found := re.match(r"  (operator|player|audience|viewer) +(http://\S+)", line):
                self.addresses[found[1]] = found[2]
            if line.startswith("  ("):
                return
        raise AssertionError(f"the show ended before it served a page: {self.said.read_text()}")

    def page_process(self) -> int:
        """The process that serves the page: the one that has loaded what makes JPEG."""
        return next(pid for pid in children(self.process.pid) if "_imaging" in Path(f"/proc/{pid}/maps").read_text())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
