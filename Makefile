# Everything a fresh machine needs is found or installed by scripts/uv; it has to have python3 (3.11 to 3.13), make and git.
VENV ?= .venv
LAKE ?= lake/demo
JOBS ?= 2
TESTS ?=
FORMAT ?= csv
SECONDS ?= 60

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_COMPILE_BYTECODE := 1
unexport VIRTUAL_ENV
UV := ./scripts/uv
RUN := $(VENV)/bin/python -m

.PHONY: help demo test check integration oldest bench fuzz reference clean
.DEFAULT_GOAL := help

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.with-sklearn ## from a raw file to a published model: examples/tumours.py
	$(VENV)/bin/headrace run examples/tumours.py --lake $(LAKE)

test: $(VENV)/.with-tests ## the quick tests: no network, no servers
	$(RUN) pytest -q -n $(JOBS) --dist worksteal -m "not integration" $(TESTS)

check: $(VENV)/.with-everything ## format, lint, types, architecture, docs, lock file, wheel
	$(UV) lock --check
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) mypy examples
	$(RUN) mypy benchmarks
	$(RUN) basedpyright
	$(VENV)/bin/lint-imports
	$(RUN) pytest -q -p no:randomly tests/docs tests/architecture
	./scripts/check-wheel

integration: $(VENV)/.with-tests ## the tests that start whole processes and real servers
	./scripts/browser
	./scripts/object-servers
	$(RUN) pytest -q -n $(JOBS) --dist loadgroup -m integration

oldest: ## the tests of Airflow on the oldest one that is supported, in an environment of its own
	./scripts/test-airflow32

bench: $(VENV)/.with-tests ## prints the tables that the docs quote
	$(VENV)/bin/python benchmarks/chain.py
	$(VENV)/bin/python benchmarks/petrol.py
	$(VENV)/bin/python benchmarks/intervals.py
	$(VENV)/bin/python benchmarks/ingest.py
	$(VENV)/bin/python benchmarks/json_lines.py
	$(VENV)/bin/python benchmarks/on_airflow.py
	./scripts/object-servers
	$(VENV)/bin/python benchmarks/bucket.py

fuzz: $(VENV)/.with-tests ## arbitrary bytes as files of a format (FORMAT=csv, json, logs, parquet, avro; SECONDS=60)
	mkdir -p .fuzz/$(FORMAT)
	PYTHONPATH=src $(UV) run --no-sync --with atheris python fuzz/sources.py $(FORMAT) .fuzz/$(FORMAT) -max_total_time=$(SECONDS) -max_len=4000 -len_control=0 -artifact_prefix=.fuzz/$(FORMAT)-

reference: $(VENV)/.with-tests ## writes the generated pages of docs/reference
	$(RUN:-m=) scripts/reference.py

clean: ## what make has made, but for the environment
	rm -rf dist lake/demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment only ever grows here, so that `make demo` and `make test` do not undo each other.
$(VENV)/.with-sklearn: pyproject.toml uv.lock
	$(UV) sync --quiet --locked --inexact --no-dev --extra sklearn
	@touch $@

$(VENV)/.with-tests: pyproject.toml uv.lock
	$(UV) sync --quiet --locked --inexact --no-dev --all-extras --group test
	@touch $@

$(VENV)/.with-everything: pyproject.toml uv.lock
	$(UV) sync --quiet --locked --inexact --all-extras
	@touch $@
