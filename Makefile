# Each chore is one target; CI calls them by name. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUF_VERSION := 1.75.0
BUF_FOLDER := build/buf-$(BUF_VERSION)
BUF := $(BUF_FOLDER)/node_modules/.bin/buf

PROTOS := $(sort $(wildcard proto/tallystick/v1/*.proto))
SERVICES := $(sort $(wildcard proto/tallystick/v1/*_service.proto))
GENERATED := *_pb2.py *_pb2.pyi *_pb2_grpc.py *_pb2_grpc.pyi

# Nothing from outside may reach the tools: a PYTHONPATH would bring other modules, PIP_USER another place, and without compiled
# modules each of the many processes that the tests start would compile them all again.
unexport PYTHONPATH PYTHONHOME PIP_USER PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# CI installs the versions that were tested; a developer's machine takes the newest that pyproject.toml allows.
CONSTRAINED := $(if $(CI),--constraint constraints.txt)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The environment ---------------------------------------------------------------------------------------------------------------

# The stamp follows pyproject.toml: a changed dependency is installed, and nothing is installed twice.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINED) --editable '.[dev,bench]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed ## Make the environment in .venv (the other targets do it themselves)

# --- What it does ------------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.installed ## Three banks, an exchange and an auditor at work on 30,000 real histories
	$(BIN)/python -m examples.demo

# File by file, in the order of tests/conftest.py. Many tests wait for another process: four at once keep two processors at work.
SHARED_OUT := --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: test
test: $(VENV)/.installed ## Run the fast tests
	$(BIN)/python -m pytest $(SHARED_OUT)

.PHONY: faults
faults: $(VENV)/.installed ## Run the slow tests: load, and servers killed under it
	$(BIN)/python -m pytest -m slow

.PHONY: million
million: $(VENV)/.installed ## Report a million rows, ended four times in the middle and gone on with
	TALLYSTICK_TEST_ROWS=1000000 $(BIN)/python -m pytest -m slow -s tests/load/test_interrupted_runs.py

.PHONY: bench
bench: $(VENV)/.installed ## Measure, each figure beside its peer's; with QUICK=1 in a few minutes, against loose floors
	$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick,--rounds 5)

# make bench-before BEFORE=path: of an earlier checkout with its environment.
.PHONY: bench-before
bench-before: $(VENV)/.installed ## Measure this checkout beside another one, in turns
	$(BIN)/python -m benchmarks.before $(BEFORE)

.PHONY: bench-page
bench-page: $(VENV)/.installed ## Write docs/performance.md and its plots from what was measured
	$(BIN)/python -m benchmarks.page

.PHONY: bench-endurance
bench-endurance: $(VENV)/.installed ## Measure twice the load it can take, 200,000 calls, and millions of accounts
	$(BIN)/python -m benchmarks.endurance $(if $(QUICK),--quick)
	$(BIN)/python -m benchmarks.results build/bench-endurance.json

# Some 20 GB of disk, and an hour.
.PHONY: bench-growth
bench-growth: $(VENV)/.installed ## Measure queries among twenty million accounts
	$(BIN)/python -m benchmarks.endurance --only growth --accounts 20000000

.PHONY: bench-watching
bench-watching: $(VENV)/.installed ## Measure what watches cost, and a sweep of a million of them
	$(BIN)/python -m benchmarks.watching

.PHONY: bench-rating
bench-rating: $(VENV)/.installed ## Measure what a rating costs
	$(BIN)/python -m benchmarks.rating

.PHONY: bench-analysis
bench-analysis: $(VENV)/.installed ## Measure a bank's own book of ten million account-months, by three engines and whole
	$(BIN)/python -m benchmarks.analysis

.PHONY: fairness
fairness: $(VENV)/.installed ## Measure what one member at full load takes from another
	$(BIN)/python -m benchmarks.fairness

# With a proxy in front, as docker/ has one: make attacks PROXY=haproxy (2.7 or later).
.PHONY: attacks
attacks: $(VENV)/.installed ## Attack the transport, and measure what an honest member notices
	$(BIN)/python -m benchmarks.attacks.run $(if $(PROXY),--proxy $(PROXY))

# --- Scorecards --------------------------------------------------------------------------------------------------------------------

# An environment of its own: examples/rating/requirements.txt says why.
TRAIN := .venv-train
$(TRAIN)/.installed: examples/rating/requirements.txt
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check -r examples/rating/requirements.txt
	touch $@

.PHONY: rating-cards
rating-cards: $(VENV)/.installed $(TRAIN)/.installed ## Make the scorecards for persons again, and compare them byte for byte
	$(BIN)/python -m examples.rating.train --python $(TRAIN)/bin/python --check

.PHONY: rating-figures
rating-figures: $(VENV)/.installed $(TRAIN)/.installed ## Measure what the scorecards are worth, on the part that they were not made of
	$(BIN)/python -m examples.rating.evaluate --python $(TRAIN)/bin/python --out docs/rating/figures.json

# Half an hour.
.PHONY: rating-monotone
rating-monotone: $(VENV)/.installed ## Try a million histories that a worse one must not lift
	TALLYSTICK_MONOTONE_EXAMPLES=250000 $(BIN)/python -m pytest --numprocesses 4 tests/credit/rating/test_monotone.py

# --- Checks ------------------------------------------------------------------------------------------------------------------------

.PHONY: check
check: check-style check-types check-layers check-proto check-breaking check-generated check-tables ## Run all checks (each also by itself)

.PHONY: check-style
check-style: $(VENV)/.installed ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: check-types
check-types: $(VENV)/.installed ## mypy --strict
	$(BIN)/mypy

.PHONY: check-layers
check-layers: $(VENV)/.installed ## Dependencies between the layers
	$(BIN)/lint-imports

.PHONY: check-proto
check-proto: ## buf lint (needs npm)
	@if command -v npm >/dev/null; then \
		$(MAKE) --silent $(BUF) && echo '$(BUF) lint proto' && $(BUF) lint proto; \
	else \
		echo 'check-proto: npm is missing, so buf lint did not run'; \
	fi

# Against the last release or, before the first one, against the commit that brought the contracts.
.PHONY: check-breaking
check-breaking: ## buf breaking: contracts only grow (needs npm)
	@against=$$(git describe --tags --abbrev=0 2>/dev/null || \
		git log --diff-filter=A --format=%H -- proto/tallystick/v1/audit_service.proto | tail -n 1); \
	if ! command -v npm >/dev/null; then \
		echo 'check-breaking: npm is missing, so buf breaking did not run'; \
	elif [ -z "$$against" ]; then \
		echo 'check-breaking: this copy has no history to compare with, so buf breaking did not run'; \
	else \
		$(MAKE) --silent $(BUF) && echo "$(BUF) breaking proto --against $$against" && \
		$(BUF) breaking proto --against ".git#ref=$$against,subdir=proto"; \
	fi

.PHONY: check-generated
check-generated: $(VENV)/.installed ## Generated modules in line with the .proto files
	@rm -rf build/generated && mkdir -p build/generated/tallystick/v1
	$(call generate,build/generated)
	@for file in $(notdir $(wildcard $(addprefix proto/tallystick/v1/,$(GENERATED)))); do \
		test -e build/generated/tallystick/v1/$$file || { echo "proto/tallystick/v1/$$file comes from no .proto file"; exit 1; }; \
	done
	@for file in build/generated/tallystick/v1/*; do \
		diff -u proto/tallystick/v1/$$(basename $$file) $$file || { echo 'run make proto'; exit 1; }; \
	done
	@echo 'generated modules are in line with the .proto files'
	$(BIN)/python scripts/sync_exchange.py --check

.PHONY: check-tables
check-tables: $(VENV)/.installed ## Tables in line with the migrations, up and down
	$(BIN)/python -m pytest tests/server/storage/test_migrations.py

# --- Contracts ---------------------------------------------------------------------------------------------------------------------

# Messages and their types for every file; client and server classes for the services, and for nothing else.
define generate
$(BIN)/python -m grpc_tools.protoc -I proto --plugin=$(BIN)/protoc-gen-mypy --plugin=$(BIN)/protoc-gen-mypy_grpc \
	--python_out=$(1) --mypy_out=quiet:$(1) $(PROTOS)
$(BIN)/python -m grpc_tools.protoc -I proto --plugin=$(BIN)/protoc-gen-mypy --plugin=$(BIN)/protoc-gen-mypy_grpc \
	--grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES)
endef

.PHONY: proto
proto: $(VENV)/.installed ## Generate the modules of proto/ anew
	rm -f $(addprefix proto/tallystick/v1/,$(GENERATED))
	$(call generate,proto)

# The blocking exchange is the asynchronous one without its awaits.
.PHONY: sync
sync: $(VENV)/.installed ## Write the blocking exchange from the asynchronous one
	$(BIN)/python scripts/sync_exchange.py

# buf comes as an npm package with a program for this machine in it. The cache stays here: there may be no home to keep it in.
$(BUF):
	npm install --prefix $(BUF_FOLDER) --cache build/npm-cache --no-audit --no-fund --no-update-notifier --loglevel error @bufbuild/buf@$(BUF_VERSION)

.PHONY: lock
lock: $(VENV)/.installed ## Write the versions of this environment to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable --exclude tallystick > constraints.txt

# --- Reports and packages ----------------------------------------------------------------------------------------------------------

.PHONY: cover
cover: $(VENV)/.installed ## Branch coverage of the fast tests
	$(BIN)/python -m pytest $(SHARED_OUT) --cov --cov-report=term:skip-covered

.PHONY: docs
docs: $(VENV)/.installed ## API reference of the SDK, in build/docs
	$(BIN)/python -m pdoc --output-directory build/docs tallystick.client tallystick.testing

.PHONY: dist
dist: $(VENV)/.installed ## sdist and wheel, checked
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/python -m twine check --strict dist/*

# --- The container image -----------------------------------------------------------------------------------------------------------

IMAGE := tallystick:0.1.0

# BASE, CA, PIP_CONF, PIP_INDEX_URL, CONSTRAINTS: docker/README.md. ENGINE: docker, podman or buildah.
.PHONY: image
image: ## Build the container image, with the engine at hand
	@$(PYTHON) scripts/image.py --tag '$(IMAGE)' --engine '$(ENGINE)' --python '$(BASE)' --ca '$(CA)' --pip-conf '$(PIP_CONF)' \
		--pip-index-url '$(PIP_INDEX_URL)' --constraints '$(CONSTRAINTS)'

.PHONY: check-image
check-image: $(VENV)/.installed ## Run commands in the image, and look at what is in it
	TEST_IMAGE='$(IMAGE)' TEST_ENGINE='$(ENGINE)' $(BIN)/python -m pytest tests/docker

# --- The end -----------------------------------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove everything that was made here, the environment too
	rm -rf $(VENV) $(TRAIN) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
