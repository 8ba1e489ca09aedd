# `make demo` and `make test` need Python 3.11 or newer and make, nothing else. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo up test check lint type layers format generate docs fuzz test-tempest test-kill test-nodes test-heat-matrix test-realcloud bench-signing bench-autoscale bench-autoscale-load new-driver wheel lock clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# ---- the two commands -------------------------------------------------------------------------------------------

demo: $(VENV)/run  ## A bay's whole life on this machine, as a show
	@$(BIN)/python -m services.cli demo

test: $(VENV)/dev  ## Everything: lint, types, layers, and every test suite against real servers
	@$(BIN)/python -m scripts.test

# ---- daily work -------------------------------------------------------------------------------------------------

up: $(VENV)/run  ## Keep the demo's stack running until Ctrl-C
	@$(BIN)/python -m services.cli up

check: lint type layers  ## What needs no server: lint, types, layers

lint: $(VENV)/dev  ## ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

type: $(VENV)/dev  ## mypy --strict
	@$(BIN)/mypy shared services cloudsim scripts benchmarks tests

layers: $(VENV)/dev  ## import-linter
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/dev  ## Let ruff mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

generate: $(VENV)/dev  ## Redraw the documents that come from code
	@$(BIN)/python -m scripts.generate_states
	@$(BIN)/python -m scripts.generate_messages
	@$(BIN)/python -m scripts.generate_settings
	@$(BIN)/python -m scripts.generate_policy
	@$(BIN)/python -m scripts.generate_api
	@$(BIN)/python -m scripts.generate_events

docs: $(VENV)/dev  ## The documentation as a site, in dist/docs; it loads nothing from the Internet
	@NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict
	@echo "Open dist/docs/index.html; with its search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory dist/docs 8000"

fuzz: $(VENV)/dev  ## 10,000 requests made from the OpenAPI document (about four minutes)
	@JEROBOAM_FUZZ_CASES=10000 $(BIN)/python -m scripts.test fuzz

test-tempest: $(VENV)/dev  ## The API tests of an unmodified magnum-tempest-plugin
	@$(BIN)/python -m scripts.test tempest

test-kill: $(VENV)/dev  ## The kill points alone, on both buses, every one
	@JEROBOAM_KILL_ALL=1 $(BIN)/python -m scripts.test kill

test-nodes: $(VENV)/dev  ## Every test of the node lab: nodes of all drivers, booted for real (root)
	@JEROBOAM_NODES_ALL=1 $(BIN)/python -m scripts.test nodes

test-heat-matrix: $(VENV)/dev  ## Every cell of every driver on a real Heat; DRIVERS=name,name for some
	@JEROBOAM_HEAT_MATRIX="$(or $(DRIVERS),all)" $(BIN)/python -m scripts.test realheat

test-realcloud: $(VENV)/dev  ## Our services on a real OpenStack, a bay of each driver; DRIVERS=name,name for some
	@JEROBOAM_REALCLOUD="$(or $(DRIVERS),all)" $(BIN)/python -m scripts.test realcloud

bench-signing: $(VENV)/dev  ## What a signature costs, beside `openssl speed` (about 80 s)
	@$(BIN)/python -m benchmarks.signing

bench-autoscale: $(VENV)/dev  ## How well autoscaling follows a day, a spike and batches; draws docs/autoscaling.svg
	@$(BIN)/python -m benchmarks.autoscale --compare --plot docs/autoscaling.svg

bench-autoscale-load: $(VENV)/dev  ## What 1,000 autoscaled bays cost one scaler (about five minutes)
	@$(BIN)/python -m benchmarks.autoscale_load

new-driver: $(VENV)/dev  ## The beginning of a driver: NAME=nomad_debian KEY=vm,debian,nomad
	@$(BIN)/python -m scripts.new_driver "$(NAME)" --key "$(KEY)"

wheel: $(VENV)/dev  ## The wheel that the images install
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock: $(VENV)/dev  ## Resolve the lock files anew (needs uv)
	@for set in "requirements.lock" "requirements-dev.lock --group dev"; do \
	    uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header \
	        pyproject.toml requirements-build.in -o $$set; done
	@$(BIN)/python -m scripts.client_venvs --lock

clean:  ## Remove what was made here
	rm -rf $(VENV) .jeroboam dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# ---- virtual environment ----------------------------------------------------------------------------------------

$(VENV)/python-checked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Jeroboam needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: requirements.lock pyproject.toml | $(VENV)/python-checked
	@test -e $(VENV)/dev || { echo "Installing what Jeroboam needs into $(VENV) (once, about half a minute) …"; \
	    $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	    $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . ; }
	@touch $@

$(VENV)/dev: requirements-dev.lock pyproject.toml | $(VENV)/python-checked
	@echo "Installing what Jeroboam and its tests need into $(VENV) (once, about a minute) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
