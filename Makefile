# Each command works alone on a fresh machine: it makes what it needs first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install extras demo test

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[hf,search,dev]'
	touch .venv/installed

# PostgreSQL, Ray and trackers too: without them their tests are skipped, and named.
extras: install
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[hf,search,postgres,ray,track,dev]'

demo: install
	$(BIN)/farfield compare digits --methods erm,mixup,coral,swad,sam,tram,cat,levi,rcal,random-fields --seeds 3 --out demo

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest
