# make setup   a virtual environment in .venv with everything, byte for byte what requirements.lock and requirements-dev.lock name
# make demo    the whole of it on this machine, with ERPNext, headquarters and mail server embedded
# make test    the tests              (ARGS="-k royalty" for some of them)
# make chaos   the fault laboratory (ARGS="--schedules N --seed S"; see docs/chaos.md)
# make test-celery   the tests with Celery (needs redis-server; make test runs them, too, where it is installed)
# make bench   the benchmarks (ARGS="--only nights --sizes 20,200"; see docs/performance.md)
# make mutation   mutation testing of the accounting rules (ARGS="money keys" for some modules; see docs/testing.md)
# make screenshots   the pictures of the documents anew, from a real run (needs chromium and poppler-utils; see docs/dagster-ui.md)
# make lint    style, and the direction of imports
# make types   static types
# make lock    write both anew from pyproject.toml, with the newest versions and the hashes of their files

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/.installed
ARGS ?=
# What the program needs (the image installs just that), and what the tests need besides. Nothing that is not in them is
# fetched, the build backend included.
LOCKED := --require-hashes --requirement requirements.lock --requirement requirements-dev.lock
OURSELVES := --no-deps --no-build-isolation --editable .

# The newest interpreter that pyproject.toml allows. PYTHON=... chooses another one.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	then echo "$$python"; break; fi; done)

.PHONY: help setup demo test test-celery chaos bench mutation screenshots lint types lock

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(READY)

$(READY): pyproject.toml requirements.lock requirements-dev.lock
	@if command -v uv >/dev/null; then \
		uv venv --quiet --clear --no-config --python '$(or $(PYTHON),>=3.11,<3.14)' .venv; \
		uv pip install --quiet --python $(BIN)/python $(LOCKED); \
		uv pip install --quiet --python $(BIN)/python $(OURSELVES); \
	elif [[ -z '$(PYTHON)' ]]; then \
		echo 'No Python 3.11, 3.12 or 3.13 was found: install one (or uv, which brings its own), then run make setup again.' >&2; \
		exit 1; \
	elif ! '$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) cannot make virtual environments: install its venv package (on Debian and Ubuntu: apt install python3-venv), or uv, then run make setup again." >&2; \
		exit 1; \
	else \
		'$(PYTHON)' -m venv --clear .venv; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKED); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(OURSELVES); \
	fi
	@touch $@

# exec: Ctrl-C reaches the program itself, which then stops everything in order.
demo: $(READY)
	@exec $(BIN)/scoopjoy demo $(ARGS)

# Side by side on as many cores as there are, at most four: every worker keeps a PostgreSQL of its own.
test: $(READY)
	@exec $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(ARGS)

test-celery: $(READY)
	@command -v redis-server >/dev/null || { echo 'make test-celery needs redis-server (Debian: apt install redis-server)' >&2; exit 1; }
	@exec $(BIN)/python -m pytest --numprocesses 0 scoopjoy_dagster_tests/celery $(ARGS)

bench: $(READY)
	@exec $(BIN)/python -m scoopjoy_dagster_tests.benchmarks $(ARGS)

chaos: $(READY)
	@exec $(BIN)/python -m scoopjoy_dagster_tests.chaos $(ARGS)

mutation: $(READY)
	@exec $(BIN)/python -m scoopjoy_dagster_tests.mutation $(ARGS)

screenshots: $(READY)
	@exec $(BIN)/python docs/pictures/make_pictures.py $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

# Not of $(READY): a lock that cannot be installed must be mendable.
lock: UV = $(or $(shell command -v uv),$(wildcard $(BIN)/uv),uv)
lock: COMPILE = $(UV) pip compile pyproject.toml --quiet --no-header --no-annotate --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --upgrade
lock:
	@$(UV) --version >/dev/null || { echo 'make lock needs uv: https://docs.astral.sh/uv/' >&2; exit 1; }
	$(COMPILE) --extra celery --extra k8s --extra ed25519 --extra build --output-file requirements.lock
	@# Not twice what is installed everywhere by the first; what it has for some machines only, others may need for the tests.
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock \
		$$(sed -En 's/^([A-Za-z0-9._-]+)(\[.*\])?==[^ ]+ .$$/--no-emit-package \1/p' requirements.lock)
