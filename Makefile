# Everything that is done often. A bare Debian 12 with python3-venv and make is enough.
#
#   make demo                  the whole service on this machine, and a synthetic head sent to it
#   make demo SERIES=folder    a series or study of yours instead (folder, tar or zip)
#   make test                  all tests that need no peer and no torch; names what it skips
#   make lint                  ruff, mypy, import rules
#   make docs                  writes the pages that are generated from code
#   make peers                 as root, on Debian: the programs that some tests compare with

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-output
SERIES ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := fontanelle models worker service migrations docker benchmarks tests scripts

# Debian keeps Orthanc where only root looks.
export PATH := $(PATH):/usr/sbin

.PHONY: demo test lint docs peers peers-present clean

demo: $(VENV)/.installed-cpu
	$(BIN)/fontanelle demo --out "$(OUT)" $(if $(SERIES),--series "$(SERIES)")

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -rs

# mypy reads torch's types.
lint: $(VENV)/.installed-dev $(VENV)/.installed-train
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-cpu
	$(BIN)/python -m scripts.generate_docs

peers:
	apt-get update --quiet
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
	    dcmtk dicom3tools orthanc chromium fonts-dejavu-core

peers-present:
	@for program in dcmcjpeg dsrdump echoscu storescu storescp dciodvfy dcentvfy Orthanc chromium; do \
	    command -v $$program >/dev/null || { echo "$$program is missing: run 'make peers' as root"; exit 1; }; \
	done

clean:
	rm -rf $(VENV) build dist *.egg-info

# Two pips at work in one environment break it: under `make -j` too, one thing after the other.
.NOTPARALLEL:

# One stamp an extra: a second run installs nothing unless the pins or the extras changed.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[$*]"
	@touch $@

# The tests run the product, so they need what it runs on.
$(VENV)/.installed-dev: $(VENV)/.installed-cpu
