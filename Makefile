# Everything that a person or CI does with a checkout. Only Python 3.11 or newer, git and make are assumed.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
# Processes that run tests side by side, each with servers of its own (1.3 GB): tests wait more than they compute.
TESTERS ?= 2

# The first interpreter on the path that is new enough; PYTHON=/path/to/python chooses another.
FIND_PYTHON = for p in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
	  [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit 0; \
	done; \
	echo "error: opshub needs Python 3.11 or newer; python3 here is $$(python3 --version 2>&1)." >&2; \
	echo "remedy: install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1

.PHONY: help
help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock bootstrap.lock pyproject.toml
	@python=$$($(FIND_PYTHON)) || exit 1; \
	$$python -m venv --clear $(VENV) || { \
	  echo "error: $$python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "installing the locked Python packages into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: venv
venv: $(READY) ## make .venv with the locked packages

.PHONY: demo
demo: $(READY) ## the main job: everything up, a simulated company, live figures (ARGS="--seconds 60 --rate 2000")
	@$(BIN)/opshub demo $(ARGS)

.PHONY: test
test: $(READY) ## every test but the slow ones and those in a browser, on real servers (ARGS="-k name", TESTERS=0 for one process)
	@$(BIN)/python -m pytest -m "not slow and not browser and not containers" --numprocesses $(TESTERS) --dist loadfile $(ARGS)

.PHONY: browser-setup
browser-setup: $(READY) ## install Chromium and a Chinese font with apt, where this user may
	@PYTHON=$(BIN)/python tests/browser/setup.sh

.PHONY: test-browser
test-browser: $(READY) ## the console in a real browser: pages, keys, accessibility, photographs in build/photos
	@$(BIN)/python -m pytest -m "browser and not slow" tests/browser $(ARGS)

.PHONY: helm-setup
helm-setup: ## build helm with Go into ~/.cache/opshub: eight minutes of CPU, once
	@tests/helm/setup.sh

.PHONY: test-helm
test-helm: $(READY) ## the chart docker/helm/opshub: linter, golden files, values that must be refused
	@$(BIN)/python -m pytest tests/helm tests/unit/test_helm_chart.py $(ARGS)

.PHONY: helm-golden
helm-golden: $(READY) ## render the examples of the chart again into tests/helm/golden
	@$(BIN)/python -m tests.helm.write

.PHONY: test-containers
test-containers: $(READY) ## the stack of docker/compose.yaml under faults, on a Docker engine that it starts where it may (ARGS=--long)
	@PYTHON=$(BIN)/python tests/containers/run.sh $(ARGS)

.PHONY: screenshots
screenshots: $(READY) ## photograph the console's pages into docs/images/
	@$(BIN)/python -m pytest -q -m slow tests/browser/test_screenshots.py $(ARGS)

.PHONY: check
check: $(READY) ## format, lint, types, and that every package that is imported is declared and the other way round
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/deptry streams
	@$(BIN)/deptry tests benchmarks --ignore DEP002,DEP004

.PHONY: bench
bench: $(READY) ## measure the stream step and the whole way (ARGS="--quick" for a smoke test)
	@$(BIN)/python -m benchmarks.bench $(ARGS)

.PHONY: bench-series
bench-series: $(READY) ## workers, partitions, hubs of 10 million rows, lines of an order in series: 45 minutes (ARGS="--only growth")
	@$(BIN)/python -m benchmarks.series $(ARGS)

.PHONY: bench-peers
bench-peers: $(READY) ## the same work by other stream libraries, in venvs of their own under .tools
	@$(BIN)/python -m benchmarks.peers $(ARGS)

.PHONY: faults
faults: $(READY) ## kill and cut, seeded: SEED=1 MINUTES=20 (ARGS="--only 'SIGKILL hub'")
	@$(BIN)/python -m tests.faults.suite --seed $(or $(SEED),1) --minutes $(or $(MINUTES),20) $(ARGS)

.PHONY: soak
soak: $(READY) ## load with random faults, one page of figures: MINUTES=60 (ARGS="--rate 300 --out soak.html")
	@$(BIN)/python -m tests.faults.soak --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60) $(ARGS)

.PHONY: images
images: $(READY) ## build every image that docker/compose.yaml names, from registries alone (root, Docker, mmdebstrap; ARGS="worker connect")
	@PYTHON=$(BIN)/python docker/images/build.sh $(ARGS)

.PHONY: docs
docs: $(READY) ## build the documentation as a site in site/; fails on a broken link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# requirements.lock: a checkout with everything. worker.lock: what a worker's image needs. bootstrap.lock: what installs and builds.
# docker/fetch.lock: what fetches Java archives for the image of Connect.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url

.PHONY: lock
lock: $(READY) ## write the lock files again after a version was changed
	@$(COMPILE) --all-extras --group dev -o requirements.lock pyproject.toml
	@$(COMPILE) --constraints requirements.lock -o worker.lock pyproject.toml
	@echo jgo | $(COMPILE) --constraints requirements.lock -o docker/fetch.lock -
	@grep -E '^(uv|hatchling)==' requirements.lock | sed 's/ .*//' > bootstrap.in
	@$(COMPILE) --constraints requirements.lock -o bootstrap.lock bootstrap.in
	@rm bootstrap.in
	@$(BIN)/python -m streams.stack.lock_artifacts

.PHONY: settings
settings: $(READY) ## write docs/settings.md and the schema of the chart's values from the settings' declarations
	@$(BIN)/python -m streams.settings docs/settings.md
	@$(BIN)/python -m tests.helm.write --schema

.PHONY: wheel
wheel: $(READY) ## build dist/opshub-*.whl
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python

.PHONY: clean
clean: ## stop what runs and delete all that was made, the stack's data too
	@if [ -x $(BIN)/opshub ] && [ -d .opshub/run ]; then $(BIN)/opshub down --quiet; fi
	@rm -rf .opshub $(VENV) dist build site .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
