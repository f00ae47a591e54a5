# Two commands need nothing but Python 3.11+ with venv: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO_INSTALLED := .venv/.demo-installed
# Modules with examples in their docstrings.
EXAMPLES = $(shell grep -rl --include='*.py' '>>> ' media_app messages_app mediahub)

.PHONY: install demo test check lock burst album chaos drill fuzz flush reconcile cleanup guards mutate coverage bench bench-delivery audit readability

install: $(INSTALLED) ## create .venv with all that development needs

$(INSTALLED): requirements/dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@ $(DEMO_INSTALLED)

# What `make install` has installed too: the same versions, and fewer packages.
$(DEMO_INSTALLED): requirements/demo.txt
	@echo "Installing what the demo needs into .venv, once …"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/demo.txt
	touch $@

demo: $(DEMO_INSTALLED) ## start everything, send a burst, show the outcome; ARGS=--once to exit after it
	DEBUG=1 $(BIN)/python manage.py demo $(ARGS)

test: $(INSTALLED) check ## all checks and tests; REQUIRE_ALL=1 makes every omission a failure
	$(BIN)/python -m pytest -q --doctest-modules $(EXAMPLES)
	$(BIN)/python -m pytest -n 3 --dist loadfile --ignore tests/flow $(ARGS)
	TEST_DATABASE=postgres $(BIN)/python -m pytest -n 3 --dist loadfile -m both_databases $(ARGS)
	$(BIN)/python -m pytest -n 3 --dist loadgroup tests/flow $(ARGS)

check: $(INSTALLED) ## style, types, the direction of imports, migrations, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	SECRET_KEY=check DEBUG=1 $(BIN)/mypy .
	SECRET_KEY=check DEBUG=1 $(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=a-key-as-long-and-as-varied-as-the-deployment-check-asks-for-0123456789 PUBLIC_URL=https://hub.example \
		ALLOWED_HOSTS=hub.example META_APP_SECRET=check META_ACCESS_TOKEN=check \
		DATABASE_URL=postgres://127.0.0.1/check MEDIA_ROOT=/srv/media \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

burst: $(INSTALLED) ## the three-photos bug, ten times on each database: RUNS=10
	$(BIN)/python -m bench.burst --runs $(or $(RUNS),10)

album: $(INSTALLED) ## thirty photos and DONE at once, in a hundred orders, on each database: SEEDS=100
	$(BIN)/python -m bench.album --seeds $(or $(SEEDS),100)

chaos: $(INSTALLED) ## everything killed at random under a burst; PHOTOS=10000 KILLS=20 SEED=1 is the long form
	$(BIN)/python -m bench.chaos --photos $(or $(PHOTOS),300) --kills $(or $(KILLS),2) --seed $(or $(SEED),1)

drill: $(INSTALLED) ## outages of a minute each under live conversations: CONVERSATIONS=500 SECONDS=60; ARGS=--short is a minute in all
	$(BIN)/python -m bench.drill --seed $(or $(SEED),1) $(if $(CONVERSATIONS),--conversations $(CONVERSATIONS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

fuzz: $(INSTALLED) ## signed deliveries with faults, each beside two good photos, on PostgreSQL: DELIVERIES=10000 SEED=1
	TEST_DATABASE=postgres $(BIN)/python -m pytest bench/fuzz.py -q -s

flush: $(INSTALLED) ## a thousand files queued, then FLUSHALL: how long until all are stored
	$(BIN)/python -m bench.flush

reconcile: $(INSTALLED) ## a storage with harm, and a walk over many rows: FILES=5000 ROWS="10000 1000000"
	$(BIN)/python -m bench.reconcile --files $(or $(FILES),100) --rows $(or $(ROWS),10000 100000)

cleanup: $(INSTALLED) ## planning a cleanup over many rows and objects: ROWS="10000 1000000"
	$(BIN)/python -m bench.cleanup --rows $(or $(ROWS),10000 100000)

guards: $(INSTALLED) ## remove each guard in turn and see a test go red: ARGS="lease purge" only these
	$(BIN)/python -m bench.guards $(ARGS)

mutate: $(INSTALLED) ## change the rules that need no database, and see a test go red: ARGS="media_app.retry*" only these
	$(if $(ARGS),,rm -rf mutants)
	$(BIN)/mutmut run --max-children 2 $(ARGS)
	$(BIN)/python -m bench.mutation_scores

coverage: $(INSTALLED) ## lines and branches that no test runs, on either database
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 --dist loadfile --ignore tests/flow $(ARGS)
	TEST_DATABASE=postgres $(BIN)/coverage run -m pytest -n 2 --dist loadfile -m both_databases $(ARGS)
	$(BIN)/coverage run -m pytest -n 3 --dist loadgroup tests/flow $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

audit: $(INSTALLED) ## known vulnerabilities of what servers install; says so where the advisories can't be reached
	$(BIN)/python -m bench.audit

bench: $(INSTALLED) ## the webhook beside a bare view, in one run
	$(BIN)/python -m bench.webhook

bench-delivery: $(INSTALLED) ## files by each way beside the bucket and nginx; ARGS=--short takes half a minute
	$(BIN)/python -m bench.delivery $(ARGS)

readability: $(INSTALLED) ## how dense the code is: nodes per line, long modules, words per test name, …
	$(BIN)/python -m bench.readability

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate -q

lock: ## renew requirements/ from pyproject.toml (needs uv): base for servers, demo with Redis, dev with all, audit
	$(COMPILE) pyproject.toml --upgrade --extra dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --constraint requirements/dev.txt --extra demo -o requirements/demo.txt
	$(COMPILE) pyproject.toml --constraint requirements/dev.txt -o requirements/base.txt
	$(COMPILE) requirements/audit.in --upgrade -o requirements/audit.txt
