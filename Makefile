# `make demo` and `make test` set up all they need; a second run starts at once.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-tests demo test check bench quality train-fall faults fuzz lint format screenshots requirements clean

BIN := .venv/bin
PYTEST_ARGS ?=
ONLY ?=
TIMES ?=
FUZZ_SECONDS ?= 60

help: ## this list
	@sed -n -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install what the product needs (own .venv, Mosquitto, browser libraries)
	@deploy/setup/python.sh base
	@deploy/setup/mosquitto.sh
	@deploy/setup/assets.sh

setup-tests: setup ## install what only the tests need (Chromium, TimescaleDB)
	@deploy/setup/tests.sh

demo: setup ## everything on this machine, with simulated homes; prints the address of the dashboard
	@exec $(BIN)/homecare demo

test: setup-tests ## all tests, on real services; PYTEST_ARGS="-k fall" for some of them
	HOMECARE_REQUIRE_SERVICES=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup-tests lint test ## format, lint, types, import rules and all tests

bench: setup-tests ## how fast it is, against its goals and against others; ONLY=ingest for a part (build/bench.json)
	@deploy/setup/bench.sh
	@$(BIN)/python -m tests.bench $(addprefix --only ,$(ONLY))

quality: setup-tests ## how right the rules are, on real people's data left out one by one; ONLY=tihm for a part (build/quality.json)
	@$(BIN)/python -m tests.quality $(addprefix --only ,$(ONLY))

train-fall: setup-tests ## make the model of the fall rule again, from WEDA-FALL (alerts/rules/fall_model.json)
	@$(BIN)/python -m tests.quality.train_fall

faults: setup-tests ## kill, cut off, fill up and poison everything while a fleet sends; ONLY=kill_ingest TIMES=3 for less (build/faults.json)
	@$(BIN)/python -m tests.faults $(addprefix --only ,$(ONLY)) $(addprefix --times ,$(TIMES))

fuzz: setup-tests ## feed the decoders whatever reaches a new line of them, for FUZZ_SECONDS=60
	@deploy/setup/fuzz.sh
	@PYTHONPATH=build/fuzz/packages $(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

lint: setup-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-tests ## bring the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: setup-tests ## take the pictures of docs/images again, by the tests' browser
	mkdir -p build/pictures
	HOMECARE_PICTURES=build/pictures $(BIN)/python -m pytest tests/dashboards/test_pictures.py
	cp build/pictures/queue-en.png build/pictures/queue-zh.png docs/images/

requirements: setup-tests ## compile requirements/*.in again, with hashes
	cd requirements && for name in base dev node fuzz bench; do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make requirements" $$name.in -o $$name.txt; done

clean: ## remove what make made here (not the demo's data, not the shared cache)
	rm -rf .venv node_modules dashboards/static/vendor build dist *.egg-info artifacts \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
