# Every command makes the environment first if it is not there; nothing else is needed beforehand
# but Python 3.10 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
TORCH := .venv-torch/.ready

.PHONY: help env demo test test-torch check format bench clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## Label real photos with the built-in model and write crossalign-demo/report.html
	$(BIN)/crossalign demo

test: $(DEV)  ## Run the tests
	$(BIN)/python -m pytest

test-torch: $(TORCH)  ## Run the tests that need PyTorch, in an environment of their own
	.venv-torch/bin/python -m pytest tests/test_alignment.py tests/test_crops.py \
		tests/test_transformers.py tests/test_open_clip.py

check: $(DEV)  ## Check format, lint, types, docstrings and docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pydoclint --quiet src
	$(BIN)/python tools/check_docs.py

format: $(DEV)  ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)  ## Run the benchmarks that need no labelled photos
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/overhead.py

env: $(DEV)  ## Make the environment for development

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "crossalign needs Python 3.10 or later: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	touch $@

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group test --group check
	touch $@

$(TORCH): pyproject.toml constraints.txt
	test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-torch/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[transformers,open-clip]' torch --group test
	touch $@

clean:  ## Remove the environment and everything that was made
	rm -rf $(VENV) .venv-torch build dist crossalign-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
