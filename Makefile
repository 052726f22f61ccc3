# Everything below creates and uses an environment of its own, .venv, without root.
# Needs Python 3.11 or newer (with venv), make and git; uses uv when it is on the path.

PYTHON ?= python3
ARCHIVE ?= demo-archive
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
  INSTALL = UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet --build-constraint requirements/build.txt
else
  INSTALL = PIP_CONSTRAINT=requirements/build.txt PIP_BUILD_CONSTRAINT=requirements/build.txt \
    $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow fuzz lint schema lock bench clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.run  ## Make the demo archive, index it and serve it
	$(BIN)/tomoportal demo --archive $(ARCHIVE)

test: $(VENV)/.dev  ## Run the default tests (under 10 minutes on 2 cores)
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  echo "No Chromium on the path: the browser tests are skipped. Debian: apt install chromium; or set CHROMIUM=/path/to/it."
	$(BIN)/python -m pytest -n auto

test-slow: $(VENV)/.dev  ## Run the slow tests too (what CI does after `make test`)
	$(BIN)/python -m pytest -n auto -m slow

fuzz: $(VENV)/.dev  ## Damaged files against every parser, for a minute (FUZZ_SECONDS)
	PYTHON=$(BIN)/python .ci/fuzz

lint: $(VENV)/.dev  ## Check style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

schema: $(VENV)/.dev  ## Generate classes, JSON Schema and pages from the LinkML model
	$(BIN)/python -m tomoportal.model.generate

bench: $(VENV)/.dev  ## Compare the fast paths with their peers; writes benchmarks/results/
	for script in convert annotations ingest index graphql s3 copick_files copick_s3 copick_portal; do $(BIN)/python benchmarks/$$script.py || exit 1; done

lock: $(VENV)/.dev  ## Resolve the pinned requirements again (needs uv)
	uv pip compile --universal --no-emit-index-url --no-annotate --no-header -q --python-version 3.11 pyproject.toml -o requirements/run.txt
	uv pip compile --universal --no-emit-index-url --no-annotate --no-header -q --python-version 3.11 pyproject.toml --group dev -o requirements/dev.txt
	printf '%s\n' editables hatch-vcs hatchling setuptools wheel | uv pip compile --universal --no-emit-index-url --no-annotate --no-header -q --python-version 3.11 - -o requirements/build.txt

clean:  ## Remove the environment and the demo's files
	rm -rf $(VENV) $(ARCHIVE) $(ARCHIVE)-source

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the dependencies into $(VENV), once; on a slow network this takes a few minutes."
	$(INSTALL) -r requirements/run.txt
	$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the dependencies of development into $(VENV), once; on a slow network this takes a few minutes."
	$(INSTALL) -r requirements/dev.txt
	$(INSTALL) --no-deps -e .
	@touch $@
