# Two commands do all the set-up: `make demo` (the core) and `make test` (everything).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
INSTALLED := $(VENV)/.installed
# What pip compiles: a change needs another install.
NATIVE := $(wildcard data/ccnet/c/*.[ch] data/sources/commoncrawl/c/*.[ch])
# For two cores: the worker with the serial tests waits most of the time.
WORKERS ?= 3

.PHONY: install demo reproduction test suite test-quick lint keys clean

install: $(INSTALLED)

$(CORE): pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit("Relama needs Python 3.11.5 or newer; give PYTHON=python3.12" if sys.version_info < (3, 11, 5) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar on -c constraints.txt -e .
	touch $@

$(INSTALLED): $(CORE)
	$(BIN)/pip install --progress-bar on -c constraints.txt -e '.[data,ray,eval,serve,dev]'
	touch $@

demo: $(CORE)
	PATH="$(abspath $(BIN)):$$PATH" bash launch/demo.sh

# The paper's recipe from raw text to scores, small; QUICK=1: the quarter-hour form. Run it again to resume.
reproduction: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/reproduction/run.py $(if $(QUICK),--quick)

# What CI checks.
test: lint suite

# All tests. Those that kill, wait or measure share one worker (tests/conftest.py).
suite: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# What to run at each change: no test that takes more than a few seconds.
test-quick: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup \
		-m "not distributed and not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# docs/reference/keys.md, from the comments in the code.
keys: $(INSTALLED)
	$(BIN)/python -m launch.keys

clean:
	rm -rf $(VENV) *.egg-info
