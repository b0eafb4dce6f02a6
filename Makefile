# Python 3.10 to 3.13 that makes the environment .venv: make PYTHON=python3.11 ...
PYTHON ?= python3
# `compiled` compiles mmcv's own operators; torchvision's stand in for them otherwise.
OPERATORS ?=
# What the set-up found out about this machine, then the command.
RUN = . .venv/ready && .venv/bin/python

.PHONY: help setup demo test test-upstream lint docs dist audit licences

help:  ## list these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1	\2/p' Makefile

setup:  ## make the environment .venv (the others do it too); OPERATORS=compiled: mmcv's own
	@PYTHON='$(PYTHON)' OPERATORS='$(OPERATORS)' .ci/setup_env.sh

demo: .venv/ready  ## train, test and draw on data made on the spot, in minutes
	$(RUN) tools/demo.py

# The engines of exported files stay in processes of their own: one that trained after them died.
ENGINES = tests/export tests/exported tests/inference

test: lint  ## run the linters and the tests
	$(RUN) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES)
	$(RUN) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES:%=--ignore %)

UPSTREAM = . .venv-upstream/ready && .venv-upstream/bin/python

test-upstream: .venv-upstream/dev  ## run the tests with OpenMMLab's own packages: .ci/upstream.txt
	$(UPSTREAM) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES)
	$(UPSTREAM) -m pytest -rfEs -n 2 --dist loadfile $(ENGINES:%=--ignore %)

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

.venv-upstream/dev: PYTHON = python3.10
.venv-upstream/dev: .ci/setup_env.sh .ci/upstream.txt constraints.txt setup.py
	@PYTHON='$(PYTHON)' OPERATORS='$(OPERATORS)' .ci/setup_env.sh upstream
	@.ci/setup_env.sh upstream dev
