# `make help` lists what there is. PYTHON names the Python that makes .venv: 3.11 or later.
PYTHON ?= python3
IN_VENV := .venv/bin/python
MANAGE := $(IN_VENV) manage.py
SOURCES := opsconsole loyalty sandbox_bank manage.py tools

# Whole files to one worker more than there are processors; tests/parallel.py has the order. `ARGS="-n 0"`: in one.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
CHECKS := check-format check-lint check-types check-layers check-migrations check-system check-deploy check-templates
.PHONY: help up test test-foreign test-deps check messages bench screenshots runtime development benchmarks $(CHECKS)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: runtime ## run the console: everything embedded under var/, demo data, Ctrl-C stops it
	@$(MANAGE) up

test: development ## the test suite, on embedded servers; ARGS="-n 0 tests/core" for pytest
	@$(IN_VENV) -m pytest $(PARALLEL) $(ARGS)

test-foreign: development ## the suite on Debian's PostgreSQL and Redis; POOLER=1: through pgbouncer
	@tools/test-foreign $(if $(POOLER),--pooler) $(ARGS)

test-deps: ## install from Debian what only some tests need (root)
	@tools/test-deps

check: development ## format, lint, types, layers, migrations, Django's checks, templates
	@$(MAKE) --keep-going --no-print-directory $(CHECKS)

check-format:
	$(IN_VENV) -m ruff format --check .

check-lint:
	$(IN_VENV) -m ruff check .

check-types:
	$(IN_VENV) -m mypy $(SOURCES)

check-layers:
	$(IN_VENV) -c "import sys; from importlinter.cli import lint_imports_command as lint; sys.exit(lint())"

check-migrations:
	$(MANAGE) makemigrations --check --dry-run

check-system:
	$(MANAGE) check --fail-level WARNING

check-deploy:
	@echo "manage.py check --deploy, as in production"
	@env $(PRODUCTION) $(MANAGE) check --deploy --fail-level WARNING

check-templates:
	$(IN_VENV) -m djlint . --lint --quiet

messages: development ## collect and compile the French texts (needs gettext)
	@$(IN_VENV) tools/messages.py

bench: benchmarks ## benchmarks as ratios; fails below those that the documentation states
	@$(IN_VENV) -m bench $(ARGS)

screenshots: development ## photograph the pages for the docs; ARGS="--out DIR" for all of them
	@$(IN_VENV) -m tools.screenshots $(ARGS)

runtime:
	@$(PYTHON) tools/environment.py requirements.txt

benchmarks:
	@$(PYTHON) tools/environment.py requirements-bench.txt

development:
	@$(PYTHON) tools/environment.py requirements-dev.txt

# What production must name, for `check --deploy`; it connects to nothing.
PRODUCTION = OPS_ENV=production ALLOWED_HOSTS=console.example.com \
	DATABASE_URL=postgresql://ops_app:x@db.example.com/molam_connect \
	DATABASE_OWNER_URL=postgresql://ops_owner:x@db.example.com/molam_connect \
	REDIS_URL=redis://redis.example.com/0 \
	SECRET_KEY=make-check-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ \
	FIELD_ENCRYPTION_KEYS=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= \
	JOURNAL_SIGNING_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
