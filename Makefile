# The two commands of this project: `make demo` and `make test`. Both set up .venv and can be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
# Only what Vicinal uses of llama.cpp: the library, not its tools, server or image models.
LLAMA_BUILD := -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF

.PHONY: help demo test torture check format model clean

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

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "==> installing vicinal into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --progress-bar on -c constraints.txt -e .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	@echo "==> installing the tools of development"
	$(PIP) install --quiet -c constraints.txt --group dev
	@echo "==> installing vicinal[llama]: compiles llama.cpp, a few minutes the first time"
	CMAKE_ARGS="$(LLAMA_BUILD)" $(PIP) install -c constraints.txt -e ".[llama,pictures]"
	touch $@

clean: ## remove what make made here; models and indexes in your cache and data folders stay
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
