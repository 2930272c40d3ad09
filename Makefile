# `make demo` and `make test` need Python 3.11 or later and nothing else; both make .venv themselves.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
WORKERS ?= 2
# Packages that hold trained models, which the tests read as files; what they depend on is not needed.
MODELS := rapidocr-onnxruntime==1.4.4 magika==1.0.3
# An editable install leaves the bytecode to the first run, and to every run where Python may not
# write it; start-up is twice as long without.
COMPILE := @$(BIN)/python -m compileall -q deepdsl backends grammar

.PHONY: demo test test-oracle lint docs bench clean

demo: .venv/installed
	@echo
	@echo "The program, examples/digits.dnn:"
	@echo
	@sed 's/^/    /' examples/digits.dnn
	@echo
	@rm -rf build/demo && mkdir -p build/demo
	$(BIN)/dnnc check examples/digits.dnn
	$(BIN)/dnnc train examples/digits.dnn --out build/demo/run
	$(BIN)/dnnc export build/demo/run -o build/demo/digits.onnx
	$(BIN)/dnnc eval build/demo/digits.onnx --data examples/digits.dnn
	@echo
	@echo "build/demo/digits.onnx runs wherever onnxruntime runs.  What to try next:"
	@echo "    $(BIN)/dnnc inspect examples/digits.dnn           layers, shapes, parameters"
	@echo "    $(BIN)/dnnc new mine && $(BIN)/dnnc train mine.dnn   a file of your own"
	@echo "    $(BIN)/dnnc build examples/digits.dnn             the training step as ONNX files"
	@echo "    $(BIN)/dnnc explain selu                          what the compiler knows"

test: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n $(WORKERS) --ignore=tests/oracle

# PyTorch is used by these tests only; nothing that is installed depends on it.
test-oracle: .venv/oracle
	$(BIN)/python -m pytest -q tests/oracle

lint: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/developing
	$(BIN)/python docs/generate.py

bench: .venv/oracle
	$(BIN)/python benchmarks/step_ratio.py

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed (with venv)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	$(COMPILE)
	@touch $@

.venv/developing: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODELS)
	$(COMPILE)
	@touch $@ .venv/installed

.venv/oracle: .venv/developing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,oracle]"
	@touch $@

clean:
	rm -rf .venv build dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
