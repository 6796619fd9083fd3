# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNTIME := $(wildcard src/stingless/embedded/runtime/*)
KERNEL ?= 6.1

.PHONY: demo test check test-vm vm-deps bench clean

demo: $(READY)
	$(BIN)/stingless demo

test: check
	$(BIN)/python -m pytest --vm

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_imports.py

# The guest tests on other kernels too: make test-vm KERNEL=all
test-vm: $(READY)
	$(BIN)/python -m pytest tests/guest --vm --vm-kernel $(KERNEL)

# QEMU and a Debian kernel for the guest; needs root.  make vm-deps KERNELS=all for the others too.
vm-deps:
	PYTHON=$(PYTHON) sh tests/vm/deps.sh $(KERNELS)

bench: $(READY)
	$(BIN)/python -m benchmarks

$(READY): pyproject.toml requirements.lock hatch_build.py Makefile $(RUNTIME)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'stingless needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo 'this Python cannot make virtual environments: apt-get install python3-venv (as root)'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) dist build src/stingless/_sys/*.so
