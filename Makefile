# Python 3.10 to 3.13 that makes the environment .venv: make PYTHON=python3.11 ...
PYTHON ?= python3
# `compiled` compiles mmcv's own operators; torchvision's stand in for them otherwise.
OPERATORS ?=
# What the set-up found out about this machine, then the command.
RUN = . .venv/ready && .venv/bin/python
# glibc gives large buffers back to the system at every step otherwise, 15 % of the time.
KEEP_MEMORY = export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296;

.PHONY: help setup demo test lint docs dist audit licences

help:  ## list these commands
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1	\2/p' Makefile

setup:  ## make the environment .venv (the others do it too); OPERATORS=compiled: mmcv's own
	@PYTHON='$(PYTHON)' OPERATORS='$(OPERATORS)' .ci/setup_env.sh

demo: .venv/ready  ## train, test and draw on data made on the spot, in minutes
	$(KEEP_MEMORY) $(RUN) tools/demo.py

# The engines of exported files stay in processes of their own: one that trained after them died.
ENGINES = tests/export tests/exported tests/inference

test: lint  ## run the linters and the tests
	$(RUN) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES)
	$(RUN) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES:%=--ignore %)

lint: .venv/dev  ## run the linters
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m codespell_lib
	$(RUN) -m mypy mmscale

docs: .venv/dev  ## make the documentation's site, docs/_build/html (Python 3.11 or newer)
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build/html

dist: .venv/dev  ## build the last commit's sdist, wheel and SBOM, the same bytes each time, in dist
	$(RUN) .ci/dist.py

audit: .venv/dev  ## look up constraints.txt among published vulnerabilities (SERVICE=osv: there)
	$(RUN) .ci/audit.py $(SERVICE)

licences: .venv/dev  ## write docs/licences.md anew
	$(RUN) .ci/licences.py

.venv/dev: .venv/ready
	@.ci/setup_env.sh dev

.venv/ready: .ci/setup_env.sh constraints.txt setup.py
	@PYTHON='$(PYTHON)' OPERATORS='$(OPERATORS)' .ci/setup_env.sh
