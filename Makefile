# SPDX-License-Identifier: GPL-2.0-only
# Entry points. `demo` and `test` each work as the first command on a fresh Debian 12 or 13, as root.

# Whatever of these is given on make's command line reaches the scripts.
export PYTHON KEEP RECORD CLEAN_CACHE

NO_VM = not e2e and not kernelbuild

help:
	@echo 'make setup      packages, virtual environment, libvirtd'
	@echo 'make demo       set up, then run topologies/quickstart.yaml (KEEP=1: leave the host VM up; RECORD=DIR)'
	@echo 'make test       set up, build kernels and images, then run all tests but those of the next two'
	@echo '                (ARGS=...: arguments of pytest instead of all tests)'
	@echo 'make test-long  set up, build, then run the tests that take about a minute each (ARGS=...: more arguments)'
	@echo 'make test-arms  the same for the tests that compare arms over many repeats, minutes each'
	@echo 'make check      every test and linter that needs no VM'
	@echo 'make clean      remove .venv and build droppings (CLEAN_CACHE=1: built kernels and images, too)'

setup:
	@.ci/setup

demo: setup
	@.ci/demo

test: setup
	@.ci/test $(ARGS)

test-long: setup
	@.ci/test long $(ARGS)

test-arms: setup
	@.ci/test arms $(ARGS)

check:
	@.ci/setup packages venv
	@.venv/bin/pytest -q --numprocesses=3 --dist=loadfile --ignore=tests/e2e -m '$(NO_VM)' $(ARGS)

clean:
	@.ci/clean

.PHONY: help setup demo test test-long test-arms check clean
