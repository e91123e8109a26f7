# Two commands: `make talk` sets up and plays the whole talk, `make test` sets up and passes the tests. Each needs
# Python 3.11 or newer and make, nothing else. `make help` lists the rest.

PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
# What starts hundreds of interpreters wants compiled modules, whatever is set for a shell.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
DOCS := .venv-docs/bin
# A state of its own: a run under way, which `demo next` plays in the usual one, is left as it is.
TALK := --state artifacts/talk

.DEFAULT_GOAL := help
.PHONY: help talk test test-all dry-run rehearse rehearse-part conformance peers worker worker-data contract lint format reference docs bench picture recordings lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-13s %s\n' "$$name" "$$what"; done

talk: $(VENV)/run.stamp ## set up, and play the whole talk briskly, beside any run under way
	@echo "The talk plays by itself, in two or three minutes. With the words of its speakers: $(BIN)/demo run --narrate"
	$(BIN)/demo $(TALK) run --pace brisk
	@$(BIN)/demo $(TALK) --quiet stop
	@echo "That was the talk. With the words of its speakers, at a pace for reading: $(BIN)/demo run --narrate"

test: $(VENV)/dev.stamp ## set up, and pass the tests
	$(BIN)/python -m pytest -m "not long" -n 4 --dist worksteal

test-all: test ## pass the long tests, too: all of each kind of which `test` has one
	$(BIN)/python -m pytest -m long -n 4 --dist worksteal

# Both plans, everything asserted, and held against the recordings that ship; then every panel against the screen's size.
dry-run: $(VENV)/run.stamp ## play both plans as CI does, and check that every panel fits
	$(BIN)/demo run --ci --plan problem-first --record artifacts/problem-first.jsonl
	$(BIN)/demo run --ci --plan context-first --record artifacts/context-first.jsonl
	$(BIN)/python -m tools.recordings --against artifacts/problem-first.jsonl artifacts/context-first.jsonl
	$(BIN)/demo check

# A test says when they are stale. A minute and a half.
recordings: $(VENV)/run.stamp ## record the plans again, for demo replay and for when a live step fails
	$(BIN)/python -m tools.recordings problem-first context-first

# Nothing stops the talk: a fault at a beat, in a world of its own, must end in a recovery.
rehearse: $(VENV)/run.stamp ## play every fault at every beat of both plans; takes long
	$(BIN)/demo rehearse --all

rehearse-part: $(VENV)/run.stamp ## play every fault once and every beat once, as CI does
	$(BIN)/demo rehearse

# Every scenario's own words are kept.
conformance: $(VENV)/dev.stamp ## MCP's conformance suite against the agent and the shop; needs npm
	$(BIN)/python -m tests.conformance.run --json artifacts/conformance.json

# MCP hosts that others wrote, at the protected door and through the bridge, and our agent at MCP servers and
# authorization servers that others wrote: real parts from npm and PyPI, pinned.
peers: $(VENV)/dev.stamp ## MCP hosts and servers that others wrote; needs npm
	DEMO_REQUIRE_NODE=1 $(BIN)/python -m pytest tests/peers -m peers -n 2

# Installed as `make contract` and `demo deploy` do it, and so once.
worker: $(VENV)/run.stamp ## the Workers, shop and agent: format, types, bundle, tests in workerd; needs npm, no account
	$(BIN)/python -c "from demo.deploy import tools; tools.install(tools.default_worker())"
	$(BIN)/python -c "from demo.deploy import tools; tools.install(tools.default_agent())"
	for folder in worker worker/agent; do (cd $$folder && export CI=1 WRANGLER_SEND_METRICS=false && \
		npm run -s format:check && npm run -s typecheck && npm run -s bundle && npm test) || exit 1; done

# A test says when it is stale.
worker-data: $(VENV)/dev.stamp ## write the shop's data (demo/shop/shop.toml) as TypeScript for the Worker
	$(BIN)/python worker/generate.py

# Both shops, the local one and the Worker under workerd, held to one contract; what `demo deploy` would upload; and the
# whole talk at the Worker.
contract: $(VENV)/dev.stamp ## both shops held to one contract, and the talk at the Worker; needs npm
	DEMO_REQUIRE_NODE=1 $(BIN)/python -m pytest tests/contract -m worker
	$(BIN)/demo deploy --dry-run
	$(BIN)/demo deploy --agent --dry-run
	$(BIN)/demo run --ci --worker --plan problem-first
	$(BIN)/demo run --ci --worker --plan context-first

lint: $(VENV)/dev.stamp ## lint, format, types, and dependencies, checked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/deptry demo deputize talk

format: $(VENV)/dev.stamp ## format, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A test fails when docs/reference/ is not what the commands and the kinds of step say.
reference: $(VENV)/dev.stamp ## write the reference of commands and steps from themselves
	$(BIN)/python -m tools.reference

docs: .venv-docs/docs.stamp ## the documentation site, in artifacts/site
	$(DOCS)/sphinx-build --quiet --fail-on-warning --builder html docs artifacts/site

# What deciding costs, beside servers of the peers' environment; then the Worker's objects under workerd, which wants Node
# and what `make worker` installs.
bench: $(VENV)/dev.stamp ## measure: the command's speed, code lines, a full room, the gates, the Worker's objects
	$(BIN)/python bench/code_lines.py
	$(BIN)/python bench/first_paint.py
	$(BIN)/python bench/stage_paint.py
	$(BIN)/python -m bench.audience
	$(BIN)/python -m bench.gates
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.durable_objects

# Of the recording that ships, and so without playing anything.
picture: $(VENV)/run.stamp ## make the README's animated picture, and that of a trace
	TZ=UTC $(BIN)/demo export problem-first $(SCENES) -o docs/picture.svg
	$(BIN)/python -m tools.trace_picture

SCENES := --beat authless --beat failure --beat login --beat buy --beat limits --beat agent-fooled --beat audit --beat revoke

# Pins with hashes and no address, for every platform at once.
lock: $(VENV)/dev.stamp ## renew every pinned version
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group build $(LOCK) -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --group build --group dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --group build --group docs $(LOCK) -o requirements/docs.txt
	$(BIN)/uv pip compile --group peers $(LOCK) -o requirements/peers.txt
	$(BIN)/uv pip compile --group small-model --no-deps $(LOCK) -o requirements/small-model.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet --upgrade

clean: ## remove what was installed and built
	rm -rf $(VENV) .venv-docs build dist artifacts *.egg-info

$(VENV)/bin/python .venv-docs/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one, or say: make PYTHON=/path/to/python"; exit 3; }
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)

$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	$(INSTALL)

.venv-docs/docs.stamp: requirements/docs.txt pyproject.toml | .venv-docs/bin/python
	$(INSTALL)

define INSTALL
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(basename $(@F)).txt
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
@touch $@
endef
