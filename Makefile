# Everything that is done here by hand. `make run` and `make test` are all that a newcomer needs.
# HOST, PORT and DATA_DIR, here or in the environment, reach `babelcast serve`: make run PORT=9000
# Passed on to pytest: make test ARGS='-k gateway -x', and -n0 for one process, in which a debugger works
ARGS ?=
# How often a test that failed may try again; each that did is listed as RERUN, for its race to be found
RERUNS ?= 0
# A folder of speech for the benches, with an index.json
SPEECH ?= tests/data
# Where make dynamodb listens
DYNAMODB_PORT ?= 8000
# Where make nats listens
NATS_PORT ?= 4222

# Another way to say docker compose
COMPOSE ?= docker compose --file deploy/compose/compose.yaml

bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test test-pages test-kills check proto check-proto format check-format lint types docs dashboards dynamodb nats bench preflight settings secrets rollout rollback watch signoff soak version release lock sbom licences audit images up down test-containers
# The steps of check share caches and two cores.
.NOTPARALLEL:

help: ## show this list
	@sed -En 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## install what is missing: .venv and the Debian packages of the engines
	@deploy/dev/setup

run: setup ## serve everything on HOST:PORT (127.0.0.1:8080), data in DATA_DIR
	@exec $(bin)/babelcast serve

test: setup ## run all tests with branch coverage
	@deploy/dev/dynamodb prepare || [ -z "$$CI" ]
	@deploy/dev/nats prepare || [ -z "$$CI" ]
	@deploy/dev/prometheus prepare || [ -z "$$CI" ]
	@$(bin)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder --reruns=$(RERUNS) --cov --cov-report=term $(ARGS)

test-pages: setup ## run the tests of the pages in a browser; pictures of them in SCREENSHOTS_DIR (var/screenshots)
	@deploy/dev/browser prepare
	@PAGES=1 $(bin)/pytest --reruns=$(RERUNS) tests/e2e/pages $(ARGS)

test-kills: setup ## kill every process in turn for KILLS_MINUTES (5) under three talks and 200 listeners
	@deploy/dev/dynamodb prepare && deploy/dev/nats prepare
	@KILLS_MINUTES=$${KILLS_MINUTES:-5} $(bin)/pytest tests/e2e/test_kills.py $(ARGS)

check: setup ## everything CI does: proto, format, lint, types, tests of pages and kills too; goes on after a failure and tells
	@commit=$$(git rev-parse HEAD 2>/dev/null); export KILLS_MINUTES=1.25 KILLS_LISTENERS=60 RERUNS=1; \
	  $(MAKE) --no-print-directory --keep-going check-proto check-format lint types test-pages test && \
	  if [ -z "$(ARGS)" ]; then $(bin)/python -m deploy.gates.checked "$$commit"; fi

proto: setup ## generate the Python of proto/
	@deploy/dev/proto

check-proto: setup ## lint proto/, compare it with the last release's, and the generated Python with the one checked in
	@deploy/dev/check-proto

format: setup ## put code and contracts in their layout
	@$(bin)/ruff check --select I --fix
	@$(bin)/ruff format
	@$(bin)/buf format --write proto

check-format: setup
	@$(bin)/ruff format --check

lint: setup ## ruff
	@$(bin)/ruff check

types: setup ## mypy, strict
	@$(bin)/mypy

docs: setup ## generate the tables of the documentation
	@$(bin)/python -m docs.generate

dashboards: setup ## generate the dashboards for Grafana, and Prometheus' rules for Kubernetes
	@$(bin)/python -m deploy.observability.generate
	@$(bin)/python deploy/k8s/rules.py

dynamodb: ## serve DynamoDB Local on DYNAMODB_PORT (8000), in memory
	@exec deploy/dev/dynamodb run $(DYNAMODB_PORT)

nats: ## serve NATS with JetStream on NATS_PORT (4222), messages in var/nats
	@exec deploy/dev/nats run $(NATS_PORT)

bench: setup ## measure: word errors, latency, capacity, fan-out (what bench/ holds)
	@deploy/dev/bench $(SPEECH)

preflight: setup ## all that is looked at before ENV (dev, staging, prod, compose) gets VERSION; a line for each check
	@$(bin)/python -m deploy.gates.preflight "$(ENV)" "$(VERSION)"

settings: setup ## what is set in ENV, and what is missing
	@$(bin)/python -m deploy.gates.settings "$(ENV)"

secrets: setup ## look for secrets in what is checked in; ARGS=accept once what was found is known to be none
	@deploy/supply/secrets $(ARGS)

rollout: setup ## bring ENV (dev, staging, prod; compose with VERSION) to a new version; taken back if smoke tests fail
	@ENV=$(ENV) VERSION=$(VERSION) deploy/rollout/rollout

rollback: setup ## bring ENV back to what it was before the last rollout, and run the smoke tests
	@ENV=$(ENV) deploy/rollout/rollback

watch: setup ## the figures of the first 24 hours by Prometheus (PROMETHEUS_URL), and whether they call for a rollback
	@$(bin)/babelcast watch $(ARGS)

signoff: setup ## fill in the form to sign for VERSION in ENV: var/signoff/ENV-VERSION.md
	@$(bin)/python -m deploy.gates.signoff "$(ENV)" "$(VERSION)"

soak: setup ## talk and listen for SOAK_MINUTES (30) with real engines; memory and lag must stay flat, nothing be lost
	@$(bin)/python -m bench.soak --speech $(SPEECH) --minutes $${SOAK_MINUTES:-30} $(ARGS)

version: ## write VERSION wherever the version stands: the project, and the images of Kubernetes' overlays
	@deploy/dev/version $(VERSION)

release: setup ## write down that this commit is VERSION, for what comes after to be compared with
	@deploy/dev/release $(VERSION)

images: ## build all images; PYTHON_IMAGE and DEBIAN_IMAGE name other bases, with a digest perhaps
	@for target in gateway session transcription translation tools edge; do \
	  docker build --file deploy/Dockerfile --target $$target --tag babelcast-$$target:$(or $(BABELCAST_VERSION),latest) \
	    $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) \
	    $(if $(DEBIAN_IMAGE),--build-arg DEBIAN_IMAGE=$(DEBIAN_IMAGE)) . || exit; done

up: ## serve in containers on http://localhost:8080, with two gateways
	@$(COMPOSE) up --detach --build --wait $(ARGS)

down: ## stop the containers
	@$(COMPOSE) down $(ARGS)

test-containers: setup ## bring the containers up, smoke-test them, kill each in turn, take them down
	@COMPOSE_UP="$${COMPOSE_UP:-$(COMPOSE) up --detach --build --wait}" $(bin)/pytest -s tests/e2e/containers $(ARGS)

lock: setup ## write the lock files anew from pyproject.toml
	@deploy/dev/lock

sbom: setup ## write the bill of materials (CycloneDX) of what runs to var/sbom.json
	@$(bin)/python -m deploy.supply.sbom var/sbom.json && echo "var/sbom.json"

licences: setup ## list the licence of each package; fails on one that is not allowed
	@$(bin)/python -m deploy.supply.licences

audit: setup ## look for known vulnerabilities; needs the internet, and says so when there is none
	@deploy/dev/audit
