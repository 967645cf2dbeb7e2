"""What the operator is told in the terminal, while nothing may lie over the picture (`--clean`)."""

from __future__ import annotations

import logging

from loop.engine import Engine
from loop.panels import Panels

log = logging.getLogger(__name__)


class TerminalPanels:
    """Takes the place of the panels: each new message is one line in the terminal. Owned by the engine."""

    def __init__(self, panels: Panels) -> None:
        self._panels = panels
        self._told: dict[str, str] = {}

    def marks(self, engine: Engine) -> tuple[()]:
        """Nothing to draw; tells what is new of this tick."""
        state = self._panels.state(engine)
        for name in ("status", "toast", "hint"):
            text = getattr(state, name)
            if text and text != self._told.get(name):
                log.info("%s", text)
            self._told[name] = text
        return ()
