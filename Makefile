# The two commands that matter: `make run` and `make test`. Both install what they need and can be run again.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## from nothing to a portal on http://127.0.0.1:8000 with a demo cloud (HOST=, PORT=)
	@scripts/run.sh

.PHONY: test
test: ## from nothing to a green suite, PostgreSQL and Chromium included
	@scripts/test.sh

.PHONY: check
check: ## format, lint, types and floors
	@scripts/bootstrap.sh test
	@scripts/check.sh

.PHONY: e2e
e2e: ## the browser stories alone
	@scripts/bootstrap.sh test
	@$(BIN)/pytest e2e

.PHONY: bench
bench: ## measure against the limits (CASE=, SCALE=)
	@scripts/bootstrap.sh test
	@$(BIN)/plumbline bench $(CASE) $(if $(SCALE),--scale $(SCALE))

.PHONY: bench-peers
bench-peers: ## posting beside django-hordak and pgledger (DATABASE_URL of a server, PLUMBLINE_PGLEDGER_SQL)
	@scripts/bootstrap.sh test
	@test -x .venv-bench/bin/python || $(BIN)/uv venv --quiet .venv-bench
	@$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements/bench.txt
	@$(BIN)/plumbline bench --peers $(if $(SCALE),--scale $(SCALE))

.PHONY: confidence
confidence: ## one tier of proof with its evidence (TIER=pr-fast|merge-medium|release-heavy RUN_ID=...)
	@scripts/bootstrap.sh test
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m tests.confidence.run "$(or $(TIER),pr-fast)" "$(or $(RUN_ID),$(shell date -u +%Y%m%dT%H%M%SZ))"

.PHONY: install
install: ## install what the portal needs to run, and .venv/bin/plumbline
	@scripts/bootstrap.sh run

.PHONY: format
format: ## put every file into its form
	@scripts/bootstrap.sh test
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

.PHONY: lock
lock: ## pin the requirements anew, with hashes (UPGRADE=1 takes newer versions)
	@scripts/bootstrap.sh test
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove .venv, artifacts and caches; the data in instance/ stays
	rm -rf .venv artifacts .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
