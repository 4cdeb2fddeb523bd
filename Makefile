# kiwilite. `make` gets this machine ready and shows the rest.

BIN := .venv/bin
DESCRIPTION := x86
PROFILE := bootstrapped
KIWI := build/peers/kiwi
IMAGE_DIR := build/kiwilite-$(DESCRIPTION)-$(PROFILE)
TEST_STORE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kiwilite/test-store
PYTHON_FILES := kiwilite tests benchmarks scripts setup.py

# Tests call kiwilite and run_x86 as a user would.
export PATH := $(CURDIR)/$(BIN):/usr/local/sbin:/usr/sbin:/sbin:$(PATH)

.PHONY: start help setup doctor image test lint unit build-tests vm-tests trim-test-store soak \
	accept-main accept-storage accept-language accept-speed benchmark format schema generate clean
.NOTPARALLEL:

start: setup help

help: ## show this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| awk -F '|' '{ printf "%-21s %s\n", $$1, $$2 }'

setup: ## install what is missing, and kiwilite into .venv
	@scripts/setup

doctor: setup ## what this machine has of what builds need
	@kiwilite doctor

image: setup ## build descriptions/x86, boot it once, say where it is
	kiwilite system build --description $(DESCRIPTION) --profile $(PROFILE)
	@echo "booting it once, without a change to it"
	run_x86 --snapshot --until 'login:' --timeout 600 $(IMAGE_DIR)
	@echo
	@echo "The image boots to a login prompt. It is here:"
	@ls -1 $(IMAGE_DIR)/*.raw $(IMAGE_DIR)/*.qcow2 | sed 's/^/    /'
	@echo "Boot it and log in (root, password linux):"
	@echo "    $(BIN)/run_x86 $(IMAGE_DIR)"

## Tests: `make test` is all of them, the cheap ones first

test: setup lint unit build-tests vm-tests ## the whole suite (under 45 minutes on two cores)

lint: setup ## ruff, mypy and shellcheck
	ruff format --check $(PYTHON_FILES)
	ruff check $(PYTHON_FILES)
	mypy
	scripts/shell-files | xargs shellcheck

unit: setup ## tests without network, packages or virtual machines
	pytest -q -n 2 -m "not build and not vm and not soak"

build-tests: setup trim-test-store ## tests that build with packages from the mirror, two at a time
	pytest -q -n 2 --dist loadfile -m "build and not vm and not soak"

vm-tests: setup ## tests that boot virtual machines, two at a time
	pytest -q -n 2 --dist loadfile -m "vm and not soak"

trim-test-store: setup # each change of the code makes new results, and old ones stay
	kiwilite store gc --store $(TEST_STORE) --max-size 20G

soak: setup trim-test-store ## long runs: power cuts, all volumes, kills (hours); build/power-cuts.log
	rm -f build/power-cuts.log
	pytest -q -n 2 --dist loadfile -m soak

accept-main: setup ## a line of evidence for every claim of the reference image
	$(BIN)/python tests/accept/main.py

accept-storage: setup ## a line of evidence for every claim of the storage stack (hours)
	$(BIN)/python tests/accept/storage.py

accept-language: setup $(KIWI) ## a line of evidence for every claim of the language
	KIWI_PYTHON=$(KIWI)/bin/python $(BIN)/python tests/accept/language.py

accept-speed: setup $(KIWI) ## a line of evidence for every claim about builds (hours)
	$(BIN)/python tests/accept/speed.py

$(KIWI): # the reference for what is valid, in an environment of its own
	python3 -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check kiwi==11.1.6 || { rm -rf $@; exit 1; }

benchmark: setup ## builds, squashfs, volumes, verify, run time, checks, suggestions
	$(BIN)/python benchmarks/build_speed.py
	$(BIN)/python benchmarks/squashfs_speed.py
	$(BIN)/python benchmarks/squashfs_boot.py
	$(BIN)/python benchmarks/volume_speed.py
	$(BIN)/python benchmarks/verify_speed.py
	$(BIN)/python benchmarks/runtime_cost.py
	$(BIN)/python benchmarks/check_speed.py
	$(BIN)/python benchmarks/suggestions.py

## Work on kiwilite

format: setup ## format and fix what can be fixed by itself
	ruff format $(PYTHON_FILES)
	ruff check --fix $(PYTHON_FILES)

schema: setup ## make kiwilite.rng and kiwilite.xsd from kiwilite.rnc
	trang schema/kiwilite.rnc schema/kiwilite.rng
	trang schema/kiwilite.rnc schema/kiwilite.xsd

generate: setup ## make all that is generated and committed: manuals, completions, tables
	$(BIN)/python scripts/generate

clean: ## remove build results and caches; the store stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
