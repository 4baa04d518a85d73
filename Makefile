# Needs Python 3.11 or newer, make, git and the package index; everything else goes into .venv.
#
#   make quickstart   set up, then search on the built-in data
#   make test         set up, then run the tests
#   make check        format, lint, types, import contracts, tests
#   make clean        remove what the above made (studies in runs/ stay)
#
# PYTHON=... and UV=... choose other programs than the ones found.

VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test check setup setup-dev clean
.DEFAULT_GOAL := quickstart

quickstart: setup
	$(BIN)/tripletune search quickstart

test: setup-dev
	$(BIN)/python -m pytest

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports
	$(MAKE) test

setup: $(VENV)/installed
setup-dev: $(VENV)/installed-dev

# The stamps are younger than pyproject.toml for as long as nothing has to be installed.
$(VENV)/installed: pyproject.toml .ci/setup
	@.ci/setup $(VENV)
	@touch $@

$(VENV)/installed-dev: pyproject.toml .ci/setup
	@.ci/setup $(VENV) dev
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .uv build dist .pkg/*.egg-info
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
