# MedAD's commands. They need python3 (3.10 to 3.13, with its venv module) and make; `make help` lists them.
# On Linux, figures of the scene also need the system's EGL library (on Debian: libegl1 libgl1-mesa-dri).

# PYTHON: the interpreter to build the environment with. Empty: the first suitable one.
# PIP_FLAGS: more flags for pip, such as an index of CPU builds of torch.
PYTHON ?=
PIP_FLAGS ?=
INPUT ?=
OUT ?=
ARGS ?=
SLICER ?= 5.12
# SLICER_APP: the Slicer application, for the screenshots.
SLICER_APP ?= Slicer

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
PIP_INSTALL := $(PIP) install --quiet --quiet --constraint constraints.txt $(PIP_FLAGS)
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

# Slicer's views without a display, and threads that leave the processor to others while they wait.
ifeq ($(shell uname -s),Linux)
export VTK_DEFAULT_OPENGL_WINDOW ?= vtkEGLRenderWindow
endif
export QT_QPA_PLATFORM ?= offscreen
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test test-all mutations lint icon screenshots cmake-lists package environment clean

help:
	@echo "make demo [INPUT=scan.nii.gz] [OUT=folder]   the main job, on an example brain or on your own scan"
	@echo "make test [ARGS='-k name']                   ruff, then all tests that are not marked slow"
	@echo "make test-all                                all checks: ruff, then all tests"
	@echo "make mutations [ARGS='--only 3']             do the tests find 20 mistakes planted in the library?"
	@echo "make lint                                    ruff alone"
	@echo "make icon                                    draw the icons again"
	@echo "make screenshots [SLICER_APP=path/to/Slicer] make the screenshots of the panel in Slicer"
	@echo "make cmake-lists                             write the file lists of the CMake files from the tree"
	@echo "make package [SLICER=5.12]                   pack the extension for Slicer (Linux, Windows) into dist"
	@echo "make environment                             set up $(VENV), which the others do by themselves"
	@echo "make clean                                   remove what tests and builds leave behind"

demo: environment
	$(PY) -m MedADLib.cli.demo $(if $(INPUT),"$(INPUT)") $(if $(OUT),--output "$(OUT)") $(ARGS)

test: lint
	$(PY) -m pytest -m "not slow" $(ARGS)

test-all: lint
	$(PY) -m pytest $(ARGS)

mutations: environment
	$(PY) Testing/mutations.py $(ARGS)

lint: environment
	$(PY) -m ruff check .

icon: environment
	$(PY) Resources/draw_icon.py
	$(PY) Resources/draw_thumbnails.py

screenshots: demo/mni152.nii.gz
	env -u QT_QPA_PLATFORM -u VTK_DEFAULT_OPENGL_WINDOW "$(SLICER_APP)" --no-splash --disable-settings --additional-module-paths "$(CURDIR)/MedAD" --python-script Testing/screenshots.py

demo/mni152.nii.gz:
	$(MAKE) demo

cmake-lists: | $(PY)
	$(PY) Testing/cmake_lists.py

package: | $(PY)
	$(PY) Resources/package_extension.py --slicer $(SLICER) $(ARGS)

environment: $(VENV)/.installed

# deepbet, for brain extraction, comes without its declared dependencies: MedAD uses the networks in its wheel only.
$(VENV)/.installed: pyproject.toml constraints.txt | $(PY)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade >/dev/null
	@echo "Installing what MedAD needs into $(VENV): about 3 GB, some minutes the first time."
	@$(PIP_INSTALL) --editable '.[demo,view,test]' && $(PIP_INSTALL) --no-deps deepbet || { \
	  echo "The packages could not be installed. Is there network and disk space? PIP_FLAGS passes flags to pip." >&2; \
	  exit 1; }
	@touch $@

$(PY):
	@for python in $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.10); do \
	  if "$$python" -c '$(SUITABLE)' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "MedAD needs Python 3.10 to 3.13 with its venv module, and $(or $(PYTHON),python3) is not that:" \
	  "$$($(or $(PYTHON),python3) --version 2>&1)." >&2; \
	echo "Name another one with 'make PYTHON=python3.12 ...'; on Debian, 'apt install python3-venv' adds venv." >&2; \
	exit 1

clean:
	rm -rf build dist .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
