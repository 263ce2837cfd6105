.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
IMAGES := tokenize train train-gpu train-tpu preflight evaluate serve serve-gpu infer
# What builds images: the first of docker and buildah that answers.
ENGINE ?=
REPOSITORY ?= seqline
LOCK := pyproject.toml --python-version 3.11 --python-platform x86_64-manylinux_2_31 \
  --generate-hashes --no-emit-index-url --no-annotate --no-header $(UPGRADE)

# Some machines forbid bytecode: then every process compiles its libraries anew, which takes it seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: install
install: .venv/ready ## Make .venv and install the locked requirements and Seqline in it

# Nothing without a locked hash: build isolation would fetch backends that no lock lists.
.venv/ready: requirements-build.txt requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-build.txt
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --no-build-isolation --require-hashes \
	  --requirement requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: demo
demo: install ## The whole pipeline on the built-in sample, up to a live endpoint
	$(BIN)/seqline demo

.PHONY: test
test: install ## All tests, on two cores
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder --durations=40 $(TESTS)

# Another locale, time zone and order, and a proxy that must not be asked for this machine.
.PHONY: nightly
nightly: install ## The tests with many more examples and in another environment; then the mutants
	HYPOTHESIS_PROFILE=nightly LC_ALL=C TZ=Asia/Kathmandu http_proxy=http://127.0.0.1:9 \
	  $(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder --timeout 3600 $(TESTS)
	$(MAKE) mutants

.PHONY: mutants
mutants: install ## Put small faults into the code, one by one; build/mutants.txt lists those that no test notices
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --target build/mutants \
	  --requirement requirements-mutants.txt
	PYTHONPATH=build/mutants $(BIN)/python tests/mutation/run.py

.PHONY: lint
lint: install ## Ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: compile
compile: install ## Compile the pipelines to build/
	$(BIN)/seqline compile --output build/training.yaml

.PHONY: docs
docs: .venv-docs/ready ## Build the site of docs/ into build/site; a broken link is an error
	.venv-docs/bin/zensical build --clean --strict

.venv-docs/ready: requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
	  --requirement requirements-docs.txt
	@touch $@

.PHONY: reference
reference: install ## Regenerate the pages of docs/ that come from the code: parameters, commands, artifacts
	$(BIN)/python -W ignore -m tests.docs.regenerate

.PHONY: screenshots
screenshots: install ## Take the pictures in docs/images again, from the reports of RUN=.seqline/runs/...
	$(BIN)/python -m tests.docs.screenshots $(RUN)

.PHONY: tour
tour: install ## Run notebooks/tour.ipynb and write its output to docs/tour.md; about five minutes
	$(BIN)/python -W ignore -m tests.docs.tour

.PHONY: golden
golden: install ## Regenerate the digests of the compiled pipelines, on purpose
	$(BIN)/python -W ignore -m tests.golden.regenerate

.PHONY: lock
lock: install ## Resolve the locked sets of requirements; what fits stays, unless UPGRADE=--upgrade
	$(UV) pip compile --quiet $(LOCK) --extra dev --output-file requirements.txt
	$(UV) pip compile --quiet $(LOCK:pyproject.toml=--group pyproject.toml:build) --constraints requirements.txt \
	  --output-file requirements-build.txt
	$(UV) pip compile --quiet $(LOCK:pyproject.toml=--group pyproject.toml:mutants) --constraints requirements.txt \
	  --output-file requirements-mutants.txt
	echo 'tensorflow; python_version < "3"' | $(UV) pip compile --quiet $(LOCK) --extra laptop --extra cpu --override - \
	  --constraints requirements.txt --output-file requirements-laptop.txt
	$(UV) pip compile --quiet $(LOCK:pyproject.toml=--group pyproject.toml:docs) --output-file requirements-docs.txt
	for image in $(IMAGES); do \
	  case $$image in \
	    train|preflight|evaluate|serve|infer) build="--extra cpu --override -";; \
	    train-tpu) build="--override -";; \
	    *) build=;; \
	  esac; \
	  case $$image in \
	    train-tpu) constraints=;; \
	    *) constraints="--constraints requirements.txt";; \
	  esac; \
	  echo 'tensorflow; python_version < "3"' | $(UV) pip compile --quiet $(LOCK) --extra $$image $$build $$constraints \
	    --output-file containers/$$image/requirements.txt || exit 1; done

.PHONY: images
images: install ## Build the images; ENGINE=docker or buildah (or cloud, for Cloud Build), REPOSITORY=..., OPTIONS=...
ifeq ($(ENGINE),cloud)
	gcloud builds submit --config cloudbuild/images.yaml --substitutions _REPOSITORY=$(REPOSITORY) $(OPTIONS) .
else
	$(BIN)/seqline images build --engine "$(ENGINE)" --repository $(REPOSITORY) $(OPTIONS)
endif

.PHONY: images-test
images-test: install ## Run the pipelines on the sample, every stage inside its image
	$(BIN)/seqline images test --engine "$(ENGINE)" $(OPTIONS)

.PHONY: smoke-vertex
smoke-vertex: install ## A real run on Vertex AI in a fresh project, then tear down; PROJECT=..., DRY_RUN=1
	$(BIN)/python -m tests.smoke_vertex --project "$(PROJECT)" $(if $(DRY_RUN),--dry-run)

.PHONY: smoke-kubeflow
smoke-kubeflow: install ## A real run on a Kubeflow cluster, then tear down; HOST=..., NAMESPACE=..., REPOSITORY=..., DRY_RUN=1
	$(BIN)/python -m tests.smoke_kubeflow --host "$(HOST)" $(if $(NAMESPACE),--namespace "$(NAMESPACE)") \
	  $(if $(filter-out seqline,$(REPOSITORY)),--repository "$(REPOSITORY)") $(if $(DRY_RUN),--dry-run)

.PHONY: clean
clean: ## Remove what can be rebuilt: builds and tools' caches
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# A server that does not stop keeps its files: the target ends there.
.PHONY: delete-laptop
delete-laptop: ## DELETE the laptop's endpoints, registered models, checkpoints, runs and caches (.seqline)
	@test ! -d .seqline/endpoints || $(BIN)/seqline endpoint stop --all --yes
	rm -rf .seqline
