.DEFAULT_GOAL := help
VENV := .venv/bin

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## make .venv and install the gateway with the built-in model
	@tools/setup serve

serve: ## set up and start the gateway (PORT=8080)
	@tools/setup serve
	@exec $(VENV)/octoplex serve $(if $(PORT),--port $(PORT))

test: ## set up and run every test
	@tools/setup dev
	@tools/setup semgrep
	@$(VENV)/python -m pytest -n 3 --dist worksteal -rs

test-clients: ## real SDKs and command-line agents against the gateway (downloads 500 MB once)
	@tools/setup clients
	@.venv-clients/bin/python -m tests.clients.alone -n 2 --dist worksteal -rs tests/clients

fuzz: ## every reader of bytes under a coverage-guided fuzzer (a minute each)
	@tools/setup fuzz
	@.venv-fuzz/bin/python -m tests.fuzz $(ARGS)

check: ## format, lint, types and house rules
	@tools/setup dev
	@$(VENV)/ruff format --check .
	@$(VENV)/ruff check .
	@$(VENV)/mypy
	@$(VENV)/python -m pytest tests/test_house.py

bench: ## measure against a bare Go proxy, LiteLLM and Portkey (minutes)
	@tools/setup dev
	@$(VENV)/python -m bench $(ARGS)

soak: ## mixed traffic over failing providers, then every cent is looked for (ARGS="--minutes 30")
	@tools/setup dev
	@$(VENV)/python -m tests.soak $(ARGS)

bench-guard: ## what the guard finds in the JSONL files of a folder (DIR=...), and what it costs
	@tools/setup dev
	@$(VENV)/python -m bench.guard $(DIR)

bench-optimizer: ## how well the optimizer ranks the requests in the CSV files of a folder (DIR=...), and what it costs
	@tools/setup dev
	@$(VENV)/python -m bench.optimizer $(DIR) $(ARGS)

bench-agents: ## what keeping a task costs per step, a hundred at once, and the time to take over a killed worker's
	@tools/setup dev
	@$(VENV)/python -m bench.agents $(ARGS)

prices: ## compile the price list from genai-prices
	@tools/setup dev
	@$(VENV)/python -m octoplex.catalog.compile_prices

schema: ## write docs/octoplex.schema.json from the settings
	@tools/setup dev
	@$(VENV)/python -m octoplex.settings > docs/octoplex.schema.json

sbom: ## what the core installs, as a CycloneDX bill of materials
	@tools/sbom

lock: ## resolve dependencies again into requirements/*.txt
	@tools/setup dev
	@tools/lock

.PHONY: help setup serve test test-clients fuzz check bench soak bench-guard bench-optimizer bench-agents prices schema sbom lock
