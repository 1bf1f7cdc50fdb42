# make demo: set up and run the main job; make test: lint and the whole suite. Both can be repeated; the second time is fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FRESH_PYTHON := $(shell command -v $(PYTHON))

.PHONY: demo test site clean

demo: $(VENV)/.ready
	$(BIN)/python flip-flop/flip_flop.py --seed 0
	$(BIN)/python flip-flop/visualize_flip_flop.py
	$(BIN)/python flip-flop/make_flip_flop_gif.py
	@echo "The pictures lie in flip-flop/viz and flip-flop/flip_flop.gif"

test: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

site: $(VENV)/.ready
	$(BIN)/python -m catalog book

$(VENV)/.ready: pyproject.toml
	$(FRESH_PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,site,cluster]"
	touch $@

clean:
	rm -rf $(VENV) book build
