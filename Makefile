# Run `make` alone to see what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
DATASTORE ?= pgsql 15
SIZE ?= 1
export DTROVE_PYTHON RIG
# The suite starts hundreds of Pythons: each would compile all that is ours anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup test-setup demo up down test test-openstack check fast schedules faults bench bench-openstack docs lock pictures vendor

help: ## say what there is
	@echo 'DTrove: databases on any host that speaks SSH.  make <target>, where <target> is'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-15s %s\n", $$1, $$2 }'
	@echo
	@echo '  make demo DATASTORE="redis 7.0"     "mysql 10.11" and "pgsql 15" work too'

setup: ## install what DTrove needs: system packages and .venv (the others run it for you)
	@sh scripts/setup.sh

test-setup:
	@sh scripts/setup.sh --test

demo: setup ## from nothing to a database that answers; leaves DTrove running
	@.venv/bin/dtrove demo --datastore "$(DATASTORE)" --size "$(SIZE)"

up: setup ## start RabbitMQ and the four services in the background
	@.venv/bin/dtrove up --detach

down: ## stop everything and remove what it made
	@if [ -x .venv/bin/dtrove ]; then .venv/bin/dtrove down --purge; else echo 'nothing to stop: no .venv here'; fi

test: test-setup fast schedules ## everything: the fast checks and unit tests first, then all others, on real hosts
	@.venv/bin/python -m pytest --ignore=tests/unit -m "not long" --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder \
		--durations=40 --durations-min=15

pictures: test-setup ## take the README's pictures of the console anew
	@.venv/bin/python -m pytest tests/browser --screenshots var/screenshots
	@mkdir -p docs/pictures && cp var/screenshots/readme-*.png docs/pictures/

test-openstack: test-setup ## contract and main job on the OpenStack that OS_CLOUD names, or that RIG=/a/program brings up
	@sh scripts/openstack.sh .venv/bin/python -m pytest tests/contract/test_providers.py tests/contract/test_addresses.py \
		tests/contract/test_backup_stores.py tests/contract/test_exports.py tests/openstack -k openstack

check: test-setup ## style, types, import rules
	@sh scripts/check.sh

fast: test-setup ## check, and the unit tests on each Python that is here
	@sh scripts/fast.sh

schedules: test-setup ## simulated schedules of faults, 5,000 of them or as many as four minutes let in
	@.venv/bin/python -W ignore -m tests.simulation --seconds 240

faults: test-setup ## try every fault as often as its figure wants (SEED=n replays one simulated run)
	@.venv/bin/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(FAULTS)

bench: test-setup ## measure speed and memory; prints a table and JSON
	@.venv/bin/python -m bench

bench-openstack: test-setup ## the same on the OpenStack that OS_CLOUD names, or that RIG=/a/program brings up
	@sh scripts/openstack.sh .venv/bin/python -m bench openstack

docs: setup ## generate docs/reference
	@.venv/bin/python -m scripts.reference

vendor: ## fetch the console's htmx, and its tests' axe, anew from npm's registry
	@sh scripts/vendor.sh

lock: ## resolve the lock files anew
	@sh scripts/lock.sh --upgrade
