# Every target makes what it needs by itself, from Python 3.11 or newer alone.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SERVE_ARGS ?=
# Test files that run at a time, each whole in one process: `make e2e AT_ONCE=1` for one by one.
AT_ONCE ?= 2
PYTEST := $(PY) -m pytest -n $(AT_ONCE) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help venv lock serve test check floors sizes conformance clients e2e bench clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tidegate needs Python 3.11 or newer; name one with PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

venv: $(VENV)/.dev ## make .venv with everything that development needs

serve: $(VENV)/.runtime ## start the registry on 127.0.0.1:5000 (TLS on 127.0.0.1:6443), data in ./tidegate-data
	@exec $(VENV)/bin/tidegate serve --tls-listen 127.0.0.1:6443 $(SERVE_ARGS)

test: $(VENV)/.dev ## unit tests and the embedded conformance suites
	$(PYTEST) tests/unit tests/conformance

check: $(VENV)/.dev ## format, lint, types, import floors
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) tests/sizes.py

conformance: $(VENV)/.dev ## the OCI distribution conformance program (a Go module)
	$(PY) -m pytest tests/clients/test_oci_conformance.py

clients: $(VENV)/.dev ## real clients as black boxes: docker, containerd, podman, skopeo, buildah, crane, oras, regctl, helm
	$(PYTEST) tests/clients --ignore=tests/clients/test_oci_conformance.py

e2e: $(VENV)/.dev ## kill -9, full disk, restart, many connections
	$(PYTEST) tests/e2e

bench: $(VENV)/.dev ## ratios to the Go registry and nginx, one table
	$(PY) -m tests.bench $(BENCH_ARGS)

lock: ## renew requirements/*.txt from pyproject.toml (needs uv)
	uv pip compile --universal --generate-hashes --no-header --quiet --upgrade pyproject.toml -o requirements/runtime.txt
	uv pip compile --universal --generate-hashes --no-header --quiet --upgrade pyproject.toml --group dev -o requirements/dev.txt

clean: ## remove the environment and caches, never data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
