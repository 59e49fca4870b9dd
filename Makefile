# Everything runs in .venv, which is made when it is first needed.
PYTHON ?= python3
BIN := .venv/bin

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

demo: .venv/installed  ## simulate a movie and map its defects, start to end
	$(BIN)/evostem demo

test: .venv/installed  ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

columns: .venv/installed  ## check the simulated columns against abTEM, which it installs
	$(BIN)/python -m pip install --quiet --constraint requirements.lock '.[simulate]'
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -m pytest tests/data_prep/test_simulate_columns.py

lint: .venv/installed  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed  ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: pyproject.toml  ## write requirements.lock anew, from the newest allowed versions
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 --editable '.[dev]'
	{ echo '# Written by `make lock`: the exact versions that `make` installs.'; \
	  .venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > requirements.lock
	rm -r .venv-lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "evostem needs Python 3.11 or newer, this is %d.%d; say for example: make PYTHON=python3.12 demo" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: help demo test columns lint format lock
