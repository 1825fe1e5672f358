# Everything a developer does, one target each. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROTOS := $(wildcard proto/chat/v1/*.proto proto/chat/cluster/v1/*.proto)
SERVICES := $(addprefix proto/chat/v1/,accounts.proto admin.proto chat.proto)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(READY) ## Set everything up and serve on the embedded default
	@exec $(BIN)/chat-server $(ARGS)

test: $(READY) tools ## Set everything up and run the tests (under 10 minutes)
	$(BIN)/pytest $(ARGS)

test-long: $(READY) tools ## Run the tests that take minutes each
	$(BIN)/pytest -m long --timeout 3600 -s $(ARGS)

lint: $(READY) ## ruff, mypy --strict, buf lint, the schemas of the examples in deploy/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes.yaml

format: $(READY) ## Lay the code out as `make lint` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

proto: $(READY) ## Generate the code of the contract from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -Iproto --grpc_python_out=proto $(SERVICES)

audit: $(READY) ## Check the dependencies for known vulnerabilities (asks pypi.org)
	@$(BIN)/pip freeze --exclude-editable > $(VENV)/audited.txt
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement $(VENV)/audited.txt $(ARGS)

bench: $(READY) ## Measure against other servers, write docs/performance.md (ARGS="--help")
	@sh bench/install-peers.sh
	@$(BIN)/python -m pip install --quiet --group bench
	@$(BIN)/python -m bench $(ARGS)

# What the tests talk to the server with, as a user would. Skipped where it is there.
tools:
	@sh tests/install-tools.sh

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group dev --editable .
	@touch $@

clean: ## Remove what the other targets made, but no chat data
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help run test test-long lint format proto audit bench tools clean
