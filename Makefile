# Every verb is one target; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help test

help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## Lint, types and all tests
	@sh docker/ops/test.sh
