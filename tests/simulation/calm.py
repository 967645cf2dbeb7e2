"""What tests of simulated shows run under: a test file that imports both fixtures has them for each of its tests."""

from __future__ import annotations

import logging
import os

import pytest


@pytest.fixture(autouse=True)
def one_core():
    """Only one thread of a simulation runs at a time, and they take turns fastest on one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # each has a core of its own
    os.sched_setaffinity(0, {sorted(cores)[-1 - worker % len(cores)]})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(autouse=True)
def no_warnings(caplog):
    """Thousands of deaths need not be written down."""
    caplog.set_level(logging.CRITICAL)
