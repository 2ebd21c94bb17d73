# `make` lists the targets. PYTHON is the interpreter for the environment, TORCH the build of torch: auto, cpu or cuda.

PYTHON ?= python3
TORCH ?= auto
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' service/__init__.py)
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-browser check lint format bench bench-gpu evaluate index up down lock clean

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

bench: setup  ## measure speed against facenet-pytorch as pip installs it
	$(BIN)/python -m scripts.bench $(ARGS)

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

up:  ## start Qdrant and the service in containers; PROFILE=gpu for NVIDIA GPUs
	@! env | sed -n 's/^\(FACE_[A-Z_]*\)=.*/\1/p' | grep . >&2 \
		|| { echo "The containers take settings from .env alone: write there what is set in the shell." >&2; exit 1; }
	@touch .env && chmod 600 .env
	@grep -q '^QDRANT_API_KEY=.' .env \
		|| printf '\nQDRANT_API_KEY=%s\n' "$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >> .env
	@grep -q '^COMPOSE_PROFILES=.' .env || printf 'COMPOSE_PROFILES=%s\n' '$(or $(PROFILE),cpu)' >> .env
	IMAGE_VERSION=$(VERSION) $(if $(PROFILE),COMPOSE_PROFILES=$(PROFILE) )$(COMPOSE) up --build --detach
	@echo "http://localhost:5055 is the service, http://localhost:6333/dashboard Qdrant; its API key is in .env."

down:  ## stop them; the faces stay in their volume
	COMPOSE_PROFILES=cpu,gpu $(COMPOSE) down

lock:  ## pin anew what pyproject.toml asks for (needs uv)
	uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --group facenet \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:  ## remove .venv, the models and caches, but never the gallery in ./data
	rm -rf $(VENV) .venv-newest .bench models .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find service indexer scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
