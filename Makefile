# Two commands do everything: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
QUALITY_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NPX := npx --no-install

.DEFAULT_GOAL := help
.PHONY: help run test lint types format test-frontend test-library test-server test-page test-cluster tools docs coverage bench quality screenshots shots pictures wheel install-check docker clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed  ## install what is needed and start the server; ARGS="--port 9000 --output-dir out"
	$(BIN)/lama-server --inbrowser $(ARGS)

test:  ## install what is needed and run every check and test
	@$(MAKE) --jobs=2 --output-sync=line tools
	@$(MAKE) lint
	@OMP_WAIT_POLICY=passive $(MAKE) --jobs=3 --output-sync=line test-server test-page test-cluster test-library types test-frontend

lint: $(VENV)/.dev node_modules/.installed  ## style of Python, JavaScript and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(NPX) biome ci frontend tests/frontend
	$(BIN)/hadolint Dockerfile

types: $(VENV)/.dev node_modules/.installed  ## mypy --strict and tsc --checkJs
	$(BIN)/mypy
	$(NPX) tsc --project tsconfig.json

format: $(VENV)/.dev node_modules/.installed  ## put Python and JavaScript into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NPX) biome check --write frontend tests/frontend

test-frontend: node_modules/.installed  ## the page's pure modules, in Node
	node --test tests/frontend/*.test.mjs

# Side by side, since most of them wait for processes; the library, which computes, follows on the cluster.
LIBRARY_TESTS = $(shell grep -LE 'lama_server|from serving' tests/test_*.py)
CLUSTER_TESTS = tests/test_cluster.py tests/browser/test_cluster.py

test-library: tools  ## what needs no server; PYTEST_ARGS="-k masks"
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(LIBRARY_TESTS)

test-server: tools  ## the server, without the page
	$(BIN)/python -m pytest $(PYTEST_ARGS) --ignore=tests/browser $(patsubst %,--ignore=%,$(LIBRARY_TESTS) $(CLUSTER_TESTS)) tests

test-page: tools  ## the page in Chromium
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(CLUSTER_TESTS:%=--ignore=%) tests/browser

test-cluster: tools  ## several machines, made of processes
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(CLUSTER_TESTS)

coverage: $(VENV)/.dev  ## what the tests of library and server run through, line by line
	$(BIN)/python -m coverage run -m pytest --ignore tests/browser $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet && $(BIN)/python -m coverage report

docs: $(VENV)/.dev  ## write the pages that are made from the code
	$(BIN)/python -m tools.reference

bench: $(VENV)/.dev  ## measure speed and memory; BENCH_ARGS="--only lama" for a part
	$(BIN)/python -m bench $(BENCH_ARGS)

quality: $(VENV)/.dev  ## docs/quality.md and out/quality; QUALITY_ARGS="--before COMMIT" adds patchmatch as it was
	$(PIP) install --constraint constraints.txt --editable '.[quality]' || echo "other programs are left out"
	$(BIN)/python -m bench.quality $(QUALITY_ARGS)

screenshots: $(VENV)/.dev  ## the README's pictures of the page
	@tools/ensure.sh chromium
	@PYTHON=$(BIN)/python tools/ensure.sh iopaint
	$(BIN)/python -m tools.screenshots

shots: $(VENV)/.dev  ## build/shots: the page in every state and look
	@tools/ensure.sh chromium
	$(BIN)/python -m tools.shots

pictures: $(VENV)/.dev  ## the documentation's pictures and tables of what the engines do
	$(BIN)/python -m bench.contact_sheet
	$(BIN)/python -m bench.bench_models && $(BIN)/python -m tools.reference

wheel: $(VENV)/.dev  ## build dist/*.whl
	$(BIN)/python -m build --wheel --outdir dist .

install-check: $(VENV)/.dev  ## install the wheel in clean places; WAYS="pip:python3.13 uv pipx"
	$(BIN)/python -m tools.check_install $(or $(WAYS),pip:$(PYTHON))

docker: Dockerfile  ## build the image; CUDA=1 for NVIDIA
	docker build --tag lama-server $(if $(CUDA),--build-arg TORCH=cuda,) .

clean:  ## remove what these commands made
	rm -rf $(VENV) node_modules dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@PYTHON="$(PYTHON)" tools/ensure.sh python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV). The first time that takes some minutes: torch is large."
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

# Without --no-compile pip compiles some twenty thousand files, of which the tests import every fifth.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV). The first time that takes some minutes: torch is large."
	$(PIP) install --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/.installed $@

tools: $(VENV)/.dev node_modules/.installed $(VENV)/.programs

# One after another and after Node.js, since only one may install system packages at a time.
$(VENV)/.programs: tools/ensure.sh node_modules/.installed | $(BIN)/python
	@tools/ensure.sh curl
	@tools/ensure.sh chromium
	@PYTHON=$(BIN)/python tools/ensure.sh iopaint
	@touch $@

# Versions are exact in package.json, and the tools have no further dependencies: there is nothing for a lock to hold.
node_modules/.installed: package.json | $(BIN)/python
	@tools/ensure.sh node
	npm install --loglevel=error
	@touch $@
