# The two commands of this project: `make demo` and `make test`. Both set up .venv and can be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPLY := .venv-supply
PIP := $(BIN)/python -m pip
# Only what Vicinal uses of llama.cpp: the library, not its tools, server or image models.
LLAMA_BUILD := -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF

.PHONY: help demo test torture check format model lock licences audit sbom clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.installed model ## set up, then see the model get better on code it has just studied
	$(BIN)/vicinal demo

test: $(VENV)/.developing model check ## set up, check, and pass every test
	$(BIN)/python -m pytest -m "not slow and not editor and not torture" --durations=12
	$(BIN)/python -m pytest -m "slow and not editor and not torture" --durations=12
	# A browser can hang: what failed is tried once more, in a fresh one.
	$(BIN)/python -m pytest -m editor --durations=12 || $(BIN)/python -m pytest -m editor --last-failed --lfnf=none

torture: $(VENV)/.developing ## hours of garbage and of killing; VICINAL_TORTURE_INPUTS texts for the chunker
	$(BIN)/python -m pytest -m torture --durations=12

check: $(VENV)/.developing ## format, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.developing ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

model: $(VENV)/.installed ## fetch the embedded default model (once)
	$(BIN)/vicinal models pull

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "==> installing vicinal into $(VENV)"
	$(PIP) install --progress-bar on -c constraints.txt -e .
	touch $@

# `make test LOCKED=no` takes the pinned versions without their hashes, where the locked files are not to be had.
$(VENV)/.developing: $(VENV)/.made pyproject.toml constraints.txt requirements/dev.lock
	@echo "==> installing vicinal, its extras and the tools of development; compiles llama.cpp, a few minutes the first time"
ifeq ($(LOCKED),no)
	CMAKE_ARGS="$(LLAMA_BUILD)" $(PIP) install --quiet -c constraints.txt --group dev -e ".[llama,pictures]"
else
	CMAKE_ARGS="$(LLAMA_BUILD)" $(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(PIP) check
endif
	touch $(VENV)/.installed $@

$(SUPPLY)/.made: requirements/supply.lock
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/supply.lock
	touch $@

lock: $(SUPPLY)/.made ## resolve and hash what is installed anew: requirements/*.lock
	$(SUPPLY)/bin/python requirements/lock.py

licences: $(VENV)/.developing ## write docs/licences.md
	$(BIN)/python requirements/licences.py

audit: $(SUPPLY)/.made ## ask a service about known holes in what is locked; fails where it cannot be asked
	$(SUPPLY)/bin/pip-audit --strict --require-hashes --disable-pip --no-deps -r requirements/dev.lock

sbom: $(SUPPLY)/.made ## write dist/vicinal.cdx.json, which goes with a release
	mkdir -p dist
	$(SUPPLY)/bin/cyclonedx-py requirements requirements/dev.lock --pyproject pyproject.toml --output-reproducible \
		-o dist/vicinal.cdx.json

clean: ## remove what make made here; models and indexes in your cache and data folders stay
	rm -rf $(VENV) $(SUPPLY) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
