# Every command makes the environment first if it is not there; nothing else is needed beforehand
# but Python 3.10 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
TORCH := .venv-torch/.ready
OPEN_CLIP := .venv-open-clip/.ready
COMMA := ,
# A file of tests stays on one processor, so that it makes what its tests share only once.
PARALLEL := --numprocesses auto --dist loadfile
RAY := .venv-ray/.ready

.PHONY: help env demo test test-fast test-torch test-ray check format bench clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## Label real photos with the built-in model and write crossalign-demo/report.html
	$(BIN)/crossalign demo

test: $(DEV)  ## Run the tests, on as many processors as there are
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(DEV)  ## Run the tests without the slow ones, in half the time
	$(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

test-torch: $(TORCH) $(OPEN_CLIP)  ## Run the tests that need PyTorch or OpenVINO, in environments of their own
	.venv-torch/bin/python -m pytest tests/alignment/test_scoring.py tests/images/test_crops.py \
		tests/encoders/test_transformers.py tests/encoders/test_onnx.py tests/encoders/test_export.py
	.venv-open-clip/bin/python -m pytest tests/encoders/test_open_clip.py

test-ray: $(RAY)  ## Run the tests that need Ray, in an environment of its own
	.venv-ray/bin/python -m pytest tests/labeling/test_ray.py

check: $(DEV)  ## Check format, lint, types, docstrings and docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pydoclint --quiet src
	$(BIN)/python tools/check_docs.py
	$(BIN)/python tools/structure.py --check
	$(BIN)/python benchmarks/page.py --check

format: $(DEV)  ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

RESULTS := benchmarks/results
bench: $(DEV) $(TORCH)  ## Run the benchmarks that need no labelled photos, and remake their page; an hour
	$(BIN)/python benchmarks/startup.py --json $(RESULTS)/startup.json
	$(BIN)/python benchmarks/overhead.py --json $(RESULTS)/overhead.json
	$(BIN)/python benchmarks/growth.py --json $(RESULTS)/growth.json
	$(BIN)/python benchmarks/memory.py --json $(RESULTS)/memory.json
	$(BIN)/python benchmarks/large.py --json $(RESULTS)/large.json
	$(BIN)/python benchmarks/relabel.py --json $(RESULTS)/relabel.json
	$(BIN)/python benchmarks/serve.py --requests 48 --rounds 3 --json $(RESULTS)/serve.json
	.venv-torch/bin/python benchmarks/encoders.py --rounds 3 --images 32 --json $(RESULTS)/encoders.json
	.venv-torch/bin/python benchmarks/pipeline.py --images 6 --classes 24 --rounds 2 --only vit --json $(RESULTS)/pipeline.json
	$(BIN)/python benchmarks/pipeline.py --images 6 --classes 24 --rounds 2 --only builtin --json $(RESULTS)/pipeline_builtin.json
	$(BIN)/python benchmarks/page.py

env: $(DEV)  ## Make the environment for development

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "crossalign needs Python 3.10 or later: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	touch $@

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[evaluation$(COMMA)server]' --group test --group check
	touch $@

# Two of them: open_clip brings torchvision, and where that does not fit the torch at hand,
# Transformers cannot be imported beside it.
$(TORCH): pyproject.toml constraints.txt
	$(call torch-environment,.venv-torch,transformers$(COMMA)openvino$(COMMA)demo)

$(OPEN_CLIP): pyproject.toml constraints.txt
	$(call torch-environment,.venv-open-clip,open-clip)

$(RAY): pyproject.toml
	test -x .venv-ray/bin/python || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-ray/bin/python -m pip install --quiet --editable '.[ray]' --group test
	touch $@

define torch-environment
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(1)/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[$(2)]' torch --group test
	touch $@
endef

clean:  ## Remove the environment and everything that was made
	rm -rf $(VENV) .venv-torch .venv-open-clip .venv-ray build dist crossalign-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
