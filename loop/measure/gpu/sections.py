"""The sections of a measurement, one after another: what fails or does not fit is noted, and the next one runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container
from typing import Any

log = logging.getLogger(__name__)
Figures = dict[str, Any]


class SectionRun:
    """Runs sections and keeps what they gave. Owned by the command.

    wanted: the kinds of sections to run. budget_s: in all; a section that is expected to end later is skipped.
    keep_s: of the budget, for sections that come later. write(figures): called after each section, with all there is.
    """

    def __init__(self, wanted: Container[str], budget_s: float, write: Callable[[Figures], None]) -> None:
        self.figures: Figures = {"seconds": 0.0, "failed": {}, "skipped": {}}
        self.keep_s = 0.0
        self._wanted, self._budget_s, self._write = wanted, budget_s, write
        self._begun = time.monotonic()

    def wants(self, kind: str) -> bool:
        """Whether sections of this kind are to run."""
        return kind in self._wanted

    def section(self, place: tuple[str, ...], expected_s: float, work: Callable[[], Any]) -> Any:
        """What `work` gives, kept in the figures at `place`, whose last word is the section's kind; None without it."""
        if place[-1] not in self._wanted:
            return None
        name, spent_s = ", ".join(place), time.monotonic() - self._begun
        if spent_s + expected_s + self.keep_s > self._budget_s:
            told = f"about {expected_s:.0f} s do not fit any more: {spent_s:.0f} of {self._budget_s:.0f} s are spent"
            log.warning("%s is skipped: %s", name, told + (f", {self.keep_s:.0f} kept" if self.keep_s else ""))
            self.figures["skipped"][name] = told
            return None
        log.info("%s, about %.0f s (%.0f s so far)", name, expected_s, spent_s)
        found = self.attempt(name, work)
        if found is not None:
            self._put(place, found)
        self.figures["seconds"] = time.monotonic() - self._begun
        self._write(self.figures)
        return found

    def attempt(self, name: str, work: Callable[[], Any]) -> Any:
        """What `work` gives; None, and a line under "failed", if it raises anything."""
        try:
            return work()
        except Exception as error:  # whatever it is, the other sections are worth having
            log.exception("%s failed", name)
            self.figures["failed"][name] = f"{type(error).__name__}: {error}".splitlines()[0]
            return None

    def _put(self, place: tuple[str, ...], found: Any) -> None:
        at = self.figures
        for word in place[:-1]:
            at = at.setdefault(word, {})
        at[place[-1]] = found
