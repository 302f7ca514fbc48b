# Every verb is one target, and each is one file in docker/ops; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help up down destroy-data logs ps sh db test bench bench-peers profile dev roll hold resume status lock

help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Bring everything up and wait until it is healthy; installs what the machine lacks
	@sh docker/ops/up.sh

down: ## Stop everything; data stays
	@sh docker/ops/down.sh

destroy-data: ## Stop everything and remove all data, after asking
	@sh docker/ops/destroy-data.sh

logs: ## Follow the logs; SERVICE=nginx for one service
	@sh docker/ops/logs.sh

ps: ## Show services and slots
	@sh docker/ops/ps.sh

sh: ## A shell in the app container; SERVICE=db for another
	@sh docker/ops/sh.sh

db: ## A prompt in the database
	@sh docker/ops/db.sh

test: ## Lint, types and all tests, in containers; ONLY=unit or ONLY=appliance for a part
	@sh docker/ops/test.sh

bench: ## Requests per second through nginx, and a page beside its peers; two minutes, the report is in build/bench
	@sh docker/ops/bench.sh

bench-peers: ## Every job beside every peer, 45 minutes; ARGS="--peers squall,tornado --jobs page" for a part
	@sh docker/ops/bench-peers.sh

profile: ## Where the time goes, as a flame graph in build/profile; JOB=page LOAD=ab, JOB=echo
	@sh docker/ops/profile.sh

dev: ## Like up, with the working tree's code; follows the app's log
	@sh docker/ops/dev.sh

roll: ## Replace all frontends, slot by slot, without losing a request; ARGS=--dry-run only says how
	@sh docker/ops/appctl.sh roll

hold: ## Stop starting new requests; they wait in the kernel
	@sh docker/ops/appctl.sh hold

resume: ## Go on after hold
	@sh docker/ops/appctl.sh resume

status: ## One line per slot
	@sh docker/ops/appctl.sh status

lock: ## Write the locked dependencies anew from pyproject.toml
	@sh docker/ops/lock.sh
