.DEFAULT_GOAL := help
UV := .uv/bin/uv
BIN := .venv/bin
SOURCES := api executor shared cli tests
# uv keeps its Pythons and its cache in this directory too, so that `make clean` removes them.
export UV_PYTHON_INSTALL_DIR ?= $(CURDIR)/.uv/python
export UV_CACHE_DIR ?= $(CURDIR)/.uv/cache

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/.runnable ## install what the server needs, then run the API and its executors in this terminal
	@exec $(BIN)/claude-api-server up

install: $(UV) ## install the server for systemd, with a copy of the code; running services keep theirs until they restart
	@UV=$(UV) deploy/environment.sh copy

quick: .venv/.ready ## run the fast tests, for use while you work: units, golden files, documents
	@$(BIN)/pytest tests/unit tests/golden tests/docs

test: quick ## run every test (THOROUGH=1: with more generated requests)
	@# In a run of their own: real programs share one event loop for their whole life, a unit test has its own.
	@# Three workers for two cores: these tests mostly wait for other programs.
	@$(BIN)/pytest -n 3 -m "not alone" tests/deploy tests/security tests/integration tests/clients tests/observability
	@# One worker: each of these fills memory or the disk, which other tests need.
	@$(BIN)/pytest -n 0 -m alone tests/security

check: .venv/.ready ## check format, lint, import contracts and types
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/basedpyright --level error

docs: .venv/.ready ## generate the reference pages from the code
	@$(BIN)/python -m tests.support.generate_docs

system: ## install the Debian packages that some tests need, as root; without them those tests are skipped
	@{ command -v chromedriver && command -v promtool; } >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" -ne 0 ] || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			chromium chromium-driver prometheus >/dev/null; }

bench: .venv/.ready ## measure performance, print a table, write bench.json
	@$(BIN)/python -m tests.load.bench

soak: .venv/.ready ## run a mixed load with injected faults for 90 s, then hostile input, and print a table of the results
	@$(BIN)/python -m tests.load.soak

format: .venv/.ready ## format the code and apply automatic lint fixes
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --fix --quiet $(SOURCES)

lock: $(UV) ## update requirements.lock from pyproject.toml
	@$(UV) pip compile --quiet --universal --generate-hashes pyproject.toml --extra cluster --group dev --output-file requirements.lock

clean: ## remove everything that make installed
	@rm -rf .uv .venv .venvs

$(UV):
	@echo "Installing uv into .uv/ …"
	@python3 -m venv .uv && .uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check 'uv~=0.13.8'

.venv/.runnable: pyproject.toml requirements.lock .python-version | $(UV)
	@echo "Installing the server into .venv/. The first installation downloads the Claude Code CLI (160 MB) …"
	@UV=$(UV) deploy/environment.sh run

.venv/.ready: pyproject.toml requirements.lock .python-version | $(UV)
	@echo "Installing the server and the test tools into .venv/. The first installation downloads the Claude Code CLI (160 MB) …"
	@UV=$(UV) deploy/environment.sh dev

.PHONY: help run install quick test check docs system bench soak format lock clean
