# `make test` and `make demo` are all the set-up there is: they need Python 3.11+ with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed.stamp
CODE := sparsesim workloads hw reports benchmarks tests

.PHONY: help test lint test-slow demo bench clean

help:
	@echo 'make test       lint, types and the tests that take seconds'
	@echo 'make test-slow  the tests that take minutes'
	@echo 'make demo       from a network to a report'
	@echo 'make bench      how fast the simulator is here'
	@echo 'make clean      remove caches, compiled Numba code among them'

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[torch,rtl,synth,test,distributed]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n auto -m 'not slow'

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n auto -m slow

demo: $(STAMP)
	PYTHON=python PATH="$(CURDIR)/$(BIN):$$PATH" demo/run.sh

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
	find $(CODE) \( -name '*.nbi' -o -name '*.nbc' \) -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
