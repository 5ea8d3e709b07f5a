# Two commands: `make demo` and `make test`; `make docs` builds the site. Each makes the virtual environment it needs, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Where a machine forbids it, every process of the suite would compile all of kreid and its tests again.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo test test-random test-beam lint docs newest lowest lock bench torture clean

# The synthetic set, converted, trained on, evaluated beside an untrained copy and chance, exported and reported.
demo: $(VENV)/installed
	rm -rf demo
	$(BIN)/kreid-convert demo/soccernet demo/records --synthetic --actions 90
	$(BIN)/kreid-train configs/demo.yaml --data demo/records --out demo/run
	$(BIN)/kreid-export demo/run
	$(BIN)/kreid-rank demo/run --data demo/records --split test
	cp demo/run/report_test.html demo/report.html
	$(BIN)/kreid-evaluate demo/run --data demo/records --split test --baselines
	@echo "weights            demo/run/model.weights.h5"
	@echo "training log       demo/run/log.csv"
	@echo "served model       demo/run/serving/1"
	@echo "ranking file       demo/run/ranking_test.json"
	@echo "report, open it    demo/report.html"

# The whole suite, on TensorFlow; beside it what runs on any backend again, on JAX, whose output comes after the other's.
# Beside each other they fill the cores, which tests of processes and files leave idle: JAX's half gives way, so that it
# lasts as long as the other does. Either runs where the other fails.
# Files come in the order of their names: xdist would keep those of few tests, which are the slow ones, for the end.
# On two cores JAX's half is this one process: a single worker would only have to be told what to do.
# A worker that crashes ends the run: xdist would replace it, and then wait for ever for a last test that nobody has.
PYTEST := $(BIN)/python -m pytest --max-worker-restart 0
HALF_THE_CORES = $$($(BIN)/python -c "import os; half = (os.cpu_count() or 1) // 2; print(half if half > 1 else 0)")
HALVES = failed=0; jax=$$(mktemp); trap 'rm -f "$$jax"' EXIT; \
  KERAS_BACKEND=jax nice -n 10 $(PYTEST) -n $(HALF_THE_CORES) --dist worksteal -m backend $(2) >"$$jax" 2>&1 & \
  $(PYTEST) -n auto $(1) || failed=1; \
  wait $$! || failed=1; \
  cat "$$jax"; exit $$failed
test: $(VENV)/installed-dev
	@$(call HALVES,--dist loadfile --no-loadscope-reorder)

# In another order, the same for the same SEED: finds tests that lean on their neighbours. BUCKET=module shuffles the
# files and the tests of each, which keeps what they share and takes half the time.
SEED ?= 1
BUCKET ?= global
ORDER = --random-order-bucket $(BUCKET) --random-order-seed $(SEED)
test-random: $(VENV)/installed-dev
	@$(call HALVES,--dist worksteal $(ORDER),$(ORDER))

# Pipelines. Apache Beam wants protobuf, Pillow, python-dateutil and pyarrow older than the lock has them, hence an
# environment of its own; in `make test` these tests skip.
BEAM := .venv-beam
test-beam: $(BEAM)/installed
	$(BEAM)/bin/python -m pytest tests/tfrecords_tools/pipelines tests/kreid/bulk

$(BEAM)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BEAM)
	grep -vE '^(protobuf|pillow|python-dateutil|pyarrow)==' constraints.txt > $(BEAM)/constraints.txt
	$(BEAM)/bin/python -m pip install --quiet --constraint $(BEAM)/constraints.txt --editable '.[beam]' pytest pytest-timeout
	@touch $@

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, strictly: a link that leads nowhere, or what a page would fetch, ends it. To read: build/site/index.html
docs: $(VENV)/installed-docs
	$(BIN)/python -m website.build

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/fusion.py
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/weights.py
	$(BIN)/python benchmarks/ranking.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/convert.py
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/report.py

# Kills, damage, full disks, wrong servers and fuzzed files on every command, for some 20 minutes; fails unless nothing is
# silent, lost or a traceback. Another SEED tries others; `ONLY=damage` one kind.
torture: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.torture --seed $(SEED) $(if $(ONLY),--only $(ONLY))

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); kreid needs Python 3.11 to 3.13: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

# Versions are those that were tested, of constraints.txt; `make newest` takes the newest that pyproject.toml allows, and
# `make lock` writes down what is installed, once the suite is green with it.
INSTALL := $(BIN)/python -m pip install --quiet
$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) --constraint constraints.txt --editable '.[dev]'
	@# SoccerNet's own scorer needs NumPy alone, none of the 40 packages that come with it; without it its tests skip.
	$(INSTALL) --no-deps --constraint constraints.txt SoccerNet || echo "no SoccerNet: tests against it will skip"
	@# Backbones of images need KerasHub and two packages more, none of the 220 MB for text that come with them.
	$(INSTALL) --no-deps --constraint constraints.txt keras-hub regex tokenizers || echo "no KerasHub: tests of hub: will skip"
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: $(VENV)/installed-dev pyproject.toml constraints.txt
	$(INSTALL) --constraint constraints.txt --editable '.[docs]'
	@touch $@

newest: $(VENV)/bin/python
	$(INSTALL) --upgrade --upgrade-strategy eager --editable '.[dev,docs]'
	$(INSTALL) --upgrade --no-deps SoccerNet keras-hub regex tokenizers
	@touch $(VENV)/installed $(VENV)/installed-dev $(VENV)/installed-docs

# The suite on TensorFlow with the oldest versions that pyproject.toml allows of what it names, in an environment of its
# own. Old packages warn of one another there, so warnings are no errors.
LOWEST := .venv-lowest
UV = $(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --requirement pyproject.toml
lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest -n auto --max-worker-restart 0 --dist loadfile --no-loadscope-reorder -o filterwarnings=default

$(LOWEST)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(UV) --extra dev --extra docs
	$(UV) --no-deps --extra hub --extra soccernet
	$(LOWEST)/bin/python -m pip install --quiet --no-deps --editable . regex tokenizers
	@touch $@

lock: $(VENV)/installed-dev $(VENV)/installed-docs
	{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --all --exclude pip --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(BEAM) $(LOWEST) demo build *.egg-info .pytest_cache .ruff_cache .mypy_cache
