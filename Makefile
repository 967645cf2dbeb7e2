# Two commands do everything on a fresh machine: `make play` and `make test`. The same by hand is in README.md.
PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
CPU_BUILD := "torch==$(TORCH)+cpu"
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: play test lint rooms clean

play: .venv/installed
	$(BIN)/python -m loop $(ARGS)

# Two tests at a time, file by file: many of them wait for a clock. More would be late where time is what they look at.
test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# The linter, the formatter and the type checker.
lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Which room of the code imports which.
rooms: .venv/installed-dev
	$(BIN)/python -m tests.rooms

# Where no NVIDIA driver answers, the CPU build of torch spares gigabytes of CUDA. If the package index at hand does not
# offer it, PyTorch's own does; elsewhere than on Linux the plain package is the CPU build.
.venv/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if nvidia-smi >/dev/null 2>&1; then \
		echo "neverblink: NVIDIA driver found; installing into .venv, about 3 GB to download (CUDA build of torch)"; \
	else \
		echo "neverblink: no NVIDIA driver; installing into .venv, about 270 MB to download (CPU build of torch)"; \
		test "$$(uname)" != Linux || $(PIP) install -q $(CPU_BUILD) 2>/dev/null \
			|| $(PIP) install -q $(CPU_BUILD) --index-url https://download.pytorch.org/whl/cpu; \
	fi
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv
