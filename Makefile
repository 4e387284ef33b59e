# Everything a developer does; `make` alone prints this help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READERS := .venv-readers
TRITON := .triton
SERVERS := .venv-servers
KAFKA := .kafka
REFERENCE := .venv-reference
SYSTEM_PYTHON ?= /usr/bin/python3
IMAGES ?=
DATA_DIR ?= demo/gallery
PACKAGES := proto libs/kit services/gateway services/embedder services/detector services/search services/datasets services/standalone
ON_POSTGRESQL := tests/unit/search/test_schema.py tests/unit/datasets/test_schema.py tests/unit/datasets/test_store.py tests/integration/search
EDITABLE := $(foreach package,$(PACKAGES),-e $(package))
LOCKS := bootstrap runtime demo dev readers servers reference
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Trust what the machine trusts, as pip does: an index behind a company's certificate works.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

.PHONY: help
help: ## Print this help
	@echo "Kindred: image search by text, image and label. Start with:  make demo"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-17s %s\n", $$1, $$2}'

$(VENV)/.run: requirements/bootstrap.txt requirements/runtime.txt requirements/demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kindred needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked requirements into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/runtime.txt -r requirements/demo.txt
	@uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

# Libraries that others load our data sets with; their requirements exclude ours, so they live apart.
$(READERS)/.made: $(VENV)/.run requirements/readers.txt
	@test -x $(READERS)/bin/python || uv venv --quiet --python $(BIN)/python $(READERS)
	@uv pip install --quiet --python $(READERS)/bin/python --require-hashes -r requirements/readers.txt
	@touch $@

# The real tritonserver that tests talk to; its old requirements stay out of our environment.
$(TRITON)/.made: $(VENV)/.run requirements/triton-server.txt tools/install_triton_server.sh
	@tools/install_triton_server.sh $(TRITON)
	@touch $@

.PHONY: triton-server
triton-server: ## Install the tritonserver that tests use into .triton (Linux)
	@$(MAKE) --no-print-directory $(TRITON)/.made

# Servers that tests start here, apart for the same reason.
$(SERVERS)/.made: $(VENV)/.run requirements/servers.txt
	@test -x $(SERVERS)/bin/python || uv venv --quiet --python $(BIN)/python $(SERVERS)
	@uv pip install --quiet --python $(SERVERS)/bin/python --require-hashes -r requirements/servers.txt
	@touch $@

# Needs mvn, Java 17 and a reachable Maven Central; the tests that want a Kafka server are skipped without.
$(KAFKA)/.made: tools/install_kafka.sh tools/kafka/pom.xml tools/kafka/SHA256SUMS
	@if tools/install_kafka.sh; then touch $@; else echo "No Kafka server: its tests are skipped"; fi

# transformers' CLIPModel and OpenAI's tokenizer on Debian's CPU-only torch; CI compares with what they answered once.
$(REFERENCE)/.made: $(VENV)/.run requirements/reference.txt
	@$(SYSTEM_PYTHON) -c 'import torch' 2>/dev/null || { echo "The reference needs Debian 12's torch: apt-get install --no-install-recommends python3-torch"; exit 1; }
	@test -x $(REFERENCE)/bin/python || uv venv --quiet --system-site-packages --python $(SYSTEM_PYTHON) $(REFERENCE)
	@uv pip install --quiet --python $(REFERENCE)/bin/python --require-hashes -r requirements/reference.txt
	@touch $@

.PHONY: demo
demo: $(VENV)/.run ## Index photos (IMAGES=~/Pictures or the ones that ship with Python packages), search, write demo/report.html
	@kindred --data-dir "$(DATA_DIR)" demo --report demo/report.html $(IMAGES)

.PHONY: up
up: $(VENV)/.run ## Serve the HTTP API and the search page on http://127.0.0.1:8080 until Ctrl-C
	@exec kindred --data-dir "$(DATA_DIR)" serve

.PHONY: test
test: $(VENV)/.dev $(READERS)/.made $(SERVERS)/.made $(KAFKA)/.made ## Run every test that this machine can run
	@$(MAKE) --no-print-directory $(TRITON)/.made || echo "No Triton server on this machine: its tests are skipped."
	@pytest tests
	@pytest --database=postgresql $(ON_POSTGRESQL)

.PHONY: test-postgresql
test-postgresql: $(VENV)/.dev ## The tests of catalogue and data sets, on a real PostgreSQL in the place of SQLite
	@pytest --database=postgresql $(ON_POSTGRESQL) tests/integration/datasets

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy --strict, import contracts, freshness of what is generated
	@ruff check .
	@ruff format --check .
	@mypy libs/kit/kindred_kit services/*/kindred_* tools benchmarks deploy/triton
	@lint-imports
	@python tools/generate_stubs.py --check
	@python tools/write_triton_configs.py --check

.PHONY: format
format: $(VENV)/.dev ## Format the code
	@ruff format . && ruff check --fix .

.PHONY: proto
proto: $(VENV)/.dev ## Regenerate the gRPC stubs
	@python tools/generate_stubs.py

.PHONY: triton-configs
triton-configs: $(VENV)/.dev ## Write config.pbtxt of every model folder from its model.yaml
	@python tools/write_triton_configs.py

.PHONY: bench-relevance
bench-relevance: $(VENV)/.dev ## Text-to-image recall, near copies and detector AP on ../shared/data
	@python -m benchmarks.relevance

.PHONY: bench-ingest
bench-ingest: $(VENV)/.dev ## Images/s end to end beside the limit set by the CPU time of the stages
	@python -m benchmarks.ingest

.PHONY: bench-search
bench-search: $(VENV)/.dev ## Recall and latency on 100k vectors with label filters, beside bare LanceDB
	@python -m benchmarks.search

.PHONY: bench-labels
bench-labels: $(VENV)/.dev ## AP and time of one look, of TTA and of two models fused on ../shared/data
	@python -m benchmarks.labels

.PHONY: bench-memory
bench-memory: $(VENV)/.dev ## Resident memory while 10,000 images are indexed
	@python -m benchmarks.memory

.PHONY: bench-dataset-memory
bench-dataset-memory: $(VENV)/.dev ## Resident memory while a data set of 20,000 images is built
	@python -m benchmarks.dataset_memory

.PHONY: bench-failure-set
bench-failure-set: $(VENV)/.dev ## Precision of the photos found for a failure set, beside random and label-only choice
	@python -m benchmarks.failure_set

.PHONY: bench-leak-guard
bench-leak-guard: $(VENV)/.dev ## Copies of holdout photos that the leak guard finds, and strangers that it takes for copies
	@python -m benchmarks.leak_guard

.PHONY: bench-triton
bench-triton: $(VENV)/.dev $(TRITON)/.made ## Requests/s with Triton's dynamic batching on and off, and what a call costs
	@python -m benchmarks.triton

.PHONY: test-triton
test-triton: $(VENV)/.dev $(TRITON)/.made ## The gallery's tests with every model on a real tritonserver
	@pytest --inference=triton tests/integration/triton tests/integration/embedder tests/integration/detector tests/integration/gateway tests/e2e

.PHONY: test-reference
test-reference: $(VENV)/.dev $(REFERENCE)/.made ## Ask transformers and OpenAI's tokenizer again, and compare with tests/golden/clip
	@$(REFERENCE)/bin/python tests/reference/__main__.py .venv-reference/golden
	@python tests/reference/compare.py .venv-reference/golden tests/golden/clip

.PHONY: cluster-local
cluster-local: $(VENV)/.dev $(SERVERS)/.made $(KAFKA)/.made ## Kafka, PostgreSQL, S3 and the five services as processes here, until Ctrl-C
	@python tools/cluster_local.py

.PHONY: test-crash
test-crash: $(VENV)/.dev ## The long crash suites, 20 minutes and more: every durable boundary with ten seeds
	@KINDRED_LONG=1 pytest -vv tests/e2e/test_crash.py tests/e2e/test_dataset_crash.py

.PHONY: lock
lock: $(VENV)/.run ## Resolve requirements/*.in again
	@cd requirements && for name in $(LOCKS); do uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 $$name.in -o $$name.txt; done
	@cd requirements && uv pip compile --quiet --universal --generate-hashes --no-deps --no-emit-index-url --python-version 3.11 triton-server.in -o triton-server.txt

.PHONY: clean
clean: ## Remove the environment and the demo (never your photos)
	@rm -rf $(VENV) $(READERS) $(REFERENCE) $(TRITON) $(SERVERS) $(KAFKA) demo .mypy_cache .ruff_cache .pytest_cache
