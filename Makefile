# Each target does its own set-up. Needs Python 3.11 or later (Debian: apt-get install python3 python3-venv).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# Where it is set, each of the hundreds of processes that the tests start would compile all of orch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test bench simulate setup

demo: setup
	@$(BIN)/orch demo

test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist worksteal -m 'not cost'
	$(BIN)/pytest -m cost

# make bench ARGS="--peers", ARGS="--json", ARGS="waiting memory": see docs/benchmarks.md
bench: setup
	@$(BIN)/python tests/bench $(ARGS)

# make simulate SEEDS=100000, make simulate SEED=123: see docs/simulation.md
SEEDS ?= 2000
simulate: setup
	@$(BIN)/python tests/simulate/simulate.py $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'orch needs Python 3.11 or later: make PYTHON=python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo 'no venv module: apt-get install python3-venv'; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
