# Two commands: `make talk` sets up and plays the whole talk, `make test` sets up and passes the tests.
# Each needs Python 3.11 or newer and make, nothing else.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: talk test dry-run conformance peers worker contract lint bench picture lock clean

talk: $(VENV)/run.stamp
	$(BIN)/demo run --pace brisk

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 4 --dist worksteal

# The whole talk, both plans, everything asserted; then every panel held against the screen's size.
dry-run: $(VENV)/run.stamp
	$(BIN)/demo run --ci --plan problem-first
	$(BIN)/demo run --ci --plan context-first
	$(BIN)/demo check

# The MCP conformance suite against the agent and the shop; needs npm, too. Every scenario's own words are kept.
conformance: $(VENV)/dev.stamp
	$(BIN)/python -m tests.conformance.run --json artifacts/conformance.json

# MCP hosts that others wrote, at the protected door and through the bridge, and our agent at MCP servers and authorization
# servers that others wrote: real parts from npm and PyPI, pinned; needs npm, too.
peers: $(VENV)/dev.stamp
	DEMO_REQUIRE_NODE=1 $(BIN)/python -m pytest tests/peers -m peers -n 2

# The shop for Cloudflare Workers: form, types, a bundle, and its tests in workerd; needs npm, and no account.
worker:
	cd worker && npm ci --loglevel=error && npm run -s format:check && npm run -s typecheck
	cd worker && CI=1 WRANGLER_SEND_METRICS=false npm run -s bundle && CI=1 WRANGLER_SEND_METRICS=false npm test

# Both shops, the local one and the Worker under workerd, held to one contract; what `demo deploy` would upload; and the
# whole talk at the Worker.
contract: $(VENV)/dev.stamp
	DEMO_REQUIRE_NODE=1 $(BIN)/python -m pytest tests/contract -m worker
	$(BIN)/demo deploy --dry-run
	$(BIN)/demo run --ci --worker --plan problem-first
	$(BIN)/demo run --ci --worker --plan context-first

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The command's speed; then the Worker's objects under workerd, which wants Node and what `make worker` installs.
bench: $(VENV)/dev.stamp
	$(BIN)/python bench/first_paint.py
	$(BIN)/python -m bench.durable_objects

picture: $(VENV)/run.stamp
	$(BIN)/python bench/picture.py

# Pins with hashes and no address, for every platform at once.
lock: $(VENV)/dev.stamp
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --group build $(LOCK) -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --group build --group dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile --group peers $(LOCK) -o requirements/peers.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet --upgrade

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one, or say: make PYTHON=/path/to/python"; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) build dist artifacts *.egg-info
