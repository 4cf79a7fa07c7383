.DEFAULT_GOAL := help
UV := .uv/bin/uv
BIN := .venv/bin
SOURCES := api executor shared cli tests
# What uv brings and keeps stays in this folder too.
export UV_PYTHON_INSTALL_DIR ?= $(CURDIR)/.uv/python
export UV_CACHE_DIR ?= $(CURDIR)/.uv/cache

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/.ready ## install what is locked, then start the API and an executor in this terminal
	@exec $(BIN)/claude-api-server up

install: $(UV) ## install what is locked and a copy of the code, for services; what runs goes on until it is started anew
	@UV=$(UV) deploy/environment.sh copy

test: .venv/.ready ## every test (THOROUGH=1: with more generated requests)
	@# Two runs: real programs share one event loop for their whole life, unit tests have one each.
	@$(BIN)/pytest tests/unit tests/golden tests/docs
	@# Three workers for two cores: these tests mostly wait for other programs.
	@$(BIN)/pytest -n 3 -m "not alone" tests/deploy tests/security tests/integration tests/clients tests/observability
	@# One worker: each of these fills memory or the disk, which other tests need.
	@$(BIN)/pytest -n 0 -m alone tests/security

check: .venv/.ready ## types, lint, import contracts
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/basedpyright --level error

system: ## what some tests need of Debian's packages, where apt-get may install them; without it those tests are skipped
	@{ command -v chromedriver && command -v promtool; } >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" -ne 0 ] || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			chromium chromium-driver prometheus >/dev/null; }

bench: .venv/.ready ## measure, print a table, write bench.json
	@$(BIN)/python -m tests.load.bench

soak: .venv/.ready ## a mixed load with mischief for 90 s, then hostile input, and a table of what came of it
	@$(BIN)/python -m tests.load.soak

format: .venv/.ready ## format and mend what can be mended
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --fix --quiet $(SOURCES)

lock: $(UV) ## pin the dependencies anew
	@$(UV) pip compile --quiet --universal --generate-hashes pyproject.toml --group dev --output-file requirements.lock

clean: ## remove what make made
	@rm -rf .uv .venv .venvs

$(UV):
	@echo "Installing uv into .uv/ …"
	@python3 -m venv .uv && .uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check 'uv~=0.13.8'

.venv/.ready: pyproject.toml requirements.lock .python-version | $(UV)
	@echo "Installing what requirements.lock names into .venv/ (the Claude Code CLI is 160 MB; this is once) …"
	@UV=$(UV) deploy/environment.sh editable

.PHONY: help run install test check system bench soak format lock clean
