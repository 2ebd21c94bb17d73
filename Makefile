# `make` lists the targets. PYTHON is the interpreter for the environment, TORCH the build of torch: auto, cpu or cuda.

PYTHON ?= python3
TORCH ?= auto
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' service/__init__.py)
QDRANT = $(shell sed -n 's/^ *image: $${QDRANT_IMAGE:-\(.*\)}$$/\1/p' docker-compose.yml)
PYTHON_BASE = $(shell sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile | head -n 1)
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-browser check lint format bench bench-gpu fuzz load evaluate index up down pin lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml scripts/install.py
	$(PYTHON) scripts/install.py --torch $(TORCH) --group dev --editable $(VENV)
	@touch $@

setup: $(INSTALLED)  ## make .venv, install the pinned packages, fetch the model
	@$(BIN)/python -m service prepare

run: setup  ## start the service on http://0.0.0.0:5055
	@$(BIN)/python -m service

test: setup  ## run the tests; ARGS="-k name" passes options to pytest
	$(BIN)/python -m pytest $(ARGS)

test-browser: setup  ## run the console's tests in a real Chromium
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

check: lint setup  ## lint, and run the fast tests: none that is slow or starts processes
	$(BIN)/python -m pytest -m "not slow and not process" $(ARGS)

lint: $(INSTALLED)  ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## mend what can be mended by itself, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## measure speed against facenet-pytorch as pip installs it; ARGS=--write keeps the report in docs
	$(BIN)/python -m scripts.bench $(ARGS)

fuzz: setup  ## send damaged photos and requests to a running service; ARGS="--seed 2" sends others
	@$(BIN)/python -m scripts.fuzz $(ARGS)

load: setup  ## measure clients by the hundred, and a door beside crowds; ARGS="--seconds 5" shortens
	$(BIN)/python -m scripts.bench.load $(ARGS)

bench-gpu: setup  ## measure what an NVIDIA GPU makes of it
	$(BIN)/python -m scripts.bench.gpu $(ARGS)

evaluate: setup  ## measure accuracy on your photos: PAIRS=FILE or GALLERY=FOLDER (docs/accuracy.md)
	@$(BIN)/python -m scripts.bench.evaluation $(if $(PAIRS),--pairs "$(PAIRS)") $(if $(TRAIN),--train "$(TRAIN)") \
		$(if $(filter yes,$(REFERENCE)),--reference) $(if $(GALLERY),--gallery "$(GALLERY)") \
		$(if $(GROUPS),--groups $(GROUPS)) $(if $(SIZES),--sizes "$(SIZES)") $(if $(DRAWS),--draws "$(DRAWS)") \
		$(if $(PER_MEMBER),--per-member "$(PER_MEMBER)") $(if $(SCORE),--score "$(SCORE)") \
		$(if $(ROOT),--root "$(ROOT)") $(if $(JSON),--json "$(JSON)") $(if $(PLOTS),--plots "$(PLOTS)")

index: setup  ## import a folder of photos: DIR=photos; ARGS="--help" lists options
	@$(BIN)/python -m indexer index $(if $(DIR),"$(DIR)",$(if $(ARGS),,--help)) $(ARGS)

up:  ## start Qdrant and the service in containers; PROFILE=gpu for NVIDIA GPUs, else as before
	@sh scripts/containers.sh $(PROFILE)
	IMAGE_VERSION=$(VERSION) $(COMPOSE) build
	@# The service of the other profile would hold the port, and go on with the old settings.
	@case "$$(sed -n 's/^COMPOSE_PROFILES=//p' .env)" in *gpu*) other=service ;; *) other=service-gpu ;; esac; \
		COMPOSE_PROFILES=cpu,gpu $(COMPOSE) rm --stop --force $$other
	IMAGE_VERSION=$(VERSION) $(COMPOSE) up --detach
	@address=$$(sed -n 's/^PUBLISH_ADDRESS=//p' .env); echo "The service is on $${address:-127.0.0.1}, port $$(sed -n \
		's/^FACE_PORT=//p' .env | grep . || echo 5055); http://localhost:6333/dashboard is Qdrant; its API key is in secrets/."

down:  ## stop them; what they keep stays in volumes
	COMPOSE_PROFILES=cpu,gpu $(COMPOSE) down

pin:  ## write the digests of the images that are here into .env, so that no others take their place
	@set -e; for pair in QDRANT_IMAGE=$(QDRANT) PYTHON_IMAGE=$(PYTHON_BASE); do \
		docker pull --quiet "$${pair#*=}" > /dev/null; \
		digest=$$(docker image inspect --format '{{index .RepoDigests 0}}' "$${pair#*=}"); \
		{ grep -v "^$${pair%%=*}=" .env || true; echo "$${pair%%=*}=$${pair#*=}@$${digest#*@}"; } > .env.new; \
		chmod 600 .env.new; mv .env.new .env; echo "$${pair%%=*}=$${pair#*=}@$${digest#*@}"; \
	done

lock:  ## pin anew what pyproject.toml asks for (needs uv)
	uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --group facenet \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:  ## remove .venv, the models and caches, but never the gallery in ./data
	rm -rf $(VENV) .venv-newest .bench .fuzz models .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find service indexer scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
