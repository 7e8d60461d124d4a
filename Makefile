# The one door: make demo | test | faults | lint | docs | audit | bench. Each makes the virtual environment first, if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUN := demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test faults lint docs audit bench install clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,export,jax,serve,monitor,mlflow]'
	touch $@

# A search on scikit-learn's digits that transfers from the bundled backbone, its report, the exported model, and two
# predictions.
demo: $(INSTALLED)
	$(BIN)/python scripts/search.py --space finetune --data digits --backbones cifar_cnn --trials 12 --max-epochs 9 --time-budget 120s --finalists 2 --finalist-seeds 2 --name $(RUN)
	$(BIN)/python scripts/export.py runs/$(RUN) --out runs/$(RUN)/export/model.keras
	$(BIN)/python -c "from matplotlib.image import imsave; from sklearn.datasets import load_digits; \
	  [imsave(f'runs/$(RUN)/export/a-{n}.png', load_digits().images[n], cmap='gray', vmin=0, vmax=16) for n in (3, 7)]"
	$(BIN)/python scripts/predict.py runs/$(RUN)/export/model.keras runs/$(RUN)/export/a-3.png runs/$(RUN)/export/a-7.png

# On TensorFlow, and on JAX what computes.
JAX_TESTS := tests/tuner/trial/test_batches.py tests/tuner/trial/test_feature_store.py tests/tuner/trial/test_fitting.py \
  tests/tuner/trial/test_folding.py tests/tuner/trial/test_frozen_prefix.py tests/tuner/trial/test_precision.py tests/tuner/trial/test_seeding.py \
  tests/tuner/test_trainable.py tests/tuner/trial/test_training.py tests/whole_job tests/integration/test_jax.py
# Two files at a time where a test is one process; one after another where a test runs searches, some of which break them.
AT_ONCE := -n 2 --dist loadfile
SEARCHES := tests/cluster tests/faults tests/integration tests/scripts
test: $(INSTALLED)
	$(BIN)/python -m pytest $(AT_ONCE) $(SEARCHES:%=--ignore %)
	$(BIN)/python -m pytest --durations 15 $(SEARCHES)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(AT_ONCE) -k "not every_backbone" $(JAX_TESTS)

# Searches broken on purpose, at length: about an hour.
faults: $(INSTALLED)
	FAULTS=long $(BIN)/python -m pytest --timeout 7200 tests/faults

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The reference of the Python interface, from the docstrings: docs/api/index.html.
docs: $(INSTALLED)
	$(BIN)/python docs/reference.py docs/api

# Known weaknesses of what is installed, from PyPI's advisories: needs the internet, and fails without.
audit: $(INSTALLED)
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)-audit/installed.txt
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)-audit/installed.txt

# All of it takes four to five hours on two cores. WEIGHTS are MobileNet's without its top; the images come from
# ../shared/data. benchmarks/README.md says what each measures.
WEIGHTS ?= ../shared/data/mobilenet_1_0_notop.weights.h5
bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/equal_work.py finetune --weights $(WEIGHTS)
	$(BIN)/python benchmarks/equal_work.py custom_cnn
	$(BIN)/python benchmarks/time_to_best.py --weights $(WEIGHTS)
	$(BIN)/python benchmarks/slot_share.py
	$(BIN)/python benchmarks/worker_memory.py
	$(BIN)/python benchmarks/many_trials.py
	$(BIN)/python benchmarks/views.py --weights $(WEIGHTS)
	$(BIN)/python benchmarks/warm_workers.py
	$(BIN)/python benchmarks/real_search.py --weights $(WEIGHTS)
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/round_trips.py --weights $(WEIGHTS)
	$(BIN)/python benchmarks/report_of_many_trials.py
	$(BIN)/python -m benchmarks.scale.run
	$(BIN)/python -m benchmarks.scale.reports

clean:
	rm -rf $(VENV) $(VENV)-audit *.egg-info build
