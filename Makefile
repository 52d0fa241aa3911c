# raicho: `make demo` shows it at work, `make test` proves it, `make help` lists the rest.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
VENV   := .venv
PY     := $(VENV)/bin/python
DATA   ?= /var/lib/raicho/config.db
RUN    ?= /run/raicho
FUZZ_INPUTS ?= 1000000
TESTERS ?= $(shell expr 2 \* $$(nproc))

.DEFAULT_GOAL := help
.PHONY: help packages venv build lint format test test-c test-fuzz test-python test-arm64 test-dpdk fuzz soak \
        soak-tables soak-threads \
        bench conformance demo run clean distclean
.DELETE_ON_ERROR:

help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# ---- set-up: Debian packages, a virtual environment, the build --------------------------------

packages: build/packages.stamp ## Install the Debian packages that are missing (as root)
build/packages.stamp: .ci/packages
	@mkdir -p build
	@PATH="$$PATH:/usr/sbin:/sbin" .ci/packages $(or $(PYTHON),python3.11)
	@touch $@

venv: $(VENV)/deps.stamp ## Make the virtual environment with everything that tests need
$(VENV)/deps.stamp: pyproject.toml | build/packages.stamp
	test -x $(PY) || $(or $(PYTHON),python3.11) -m venv $(VENV)
	$(PY) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	    print(*p["dependencies"], *sum(p["optional-dependencies"].values(), []), sep="\n")' > $(VENV)/deps.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-input -r $(VENV)/deps.txt
	@touch $@

build: $(VENV)/deps.stamp ## Compile the C core and its wrappers, put `raicho` into .venv/bin
	$(PY) setup.py -q build_clib build_ext --inplace
	@test $(VENV)/editable.stamp -nt pyproject.toml || { \
	    RAICHO_COMPILED=1 $(PY) -m pip install -q --disable-pip-version-check --no-deps \
	        --no-build-isolation -e . \
	    && touch $(VENV)/editable.stamp; }

# ---- using it ------------------------------------------------------------------------------

demo: build ## Two hosts, a switch, a controller: ping across and show the flows (needs root)
	PYTHONPATH=build/tree:tests $(PY) -m system.demo

run: build ## Start the switch in the foreground with the default configuration
	$(VENV)/bin/raicho up --run-dir $(RUN) --data $(DATA)

bench: build ## List the benchmarks and run the small ones
	$(PY) -m bench
	$(PY) -m pytest bench --benchmark-only -q -o addopts="--import-mode=importlib"

# ---- proving it ----------------------------------------------------------------------------

test: build ## Everything: lint, C, sanitizers, fuzz, Python, system
	@$(AT_ONCE) lint $(FUZZ_RUNS) $(C_RUNS)
	@$(MAKE) --no-print-directory test-python

lint: build ## ruff, mypy, cython-lint
	$(PY) -m ruff check -q .
	$(PY) -m mypy
	@sources="$$(find control dataplane cext -name '*.pyx' -o -name '*.pxd')"; \
	    PATH="$(CURDIR)/$(VENV)/bin:$$PATH"; test -z "$$sources" || cython-lint $$sources

format: build ## Put Python and C into their form
	$(PY) -m ruff format -q .
	$(PY) -m ruff check -q --fix .
	@command -v clang-format >/dev/null && clang-format -i cext/*.[ch] tests/cext/*.[ch] || true

# Much of a test is waiting, so there are more testers than cores.
test-python: build ## pytest, system tests in network namespaces included
	$(PY) -m pytest -n $(TESTERS) --dist loadfile

test-dpdk: build/packages.stamp ## Ports on devices of DPDK, which is installed for it (as root)
	@PATH="$$PATH:/usr/sbin:/sbin" .ci/packages $(or $(PYTHON),python3.11) pkg-config libdpdk-dev
	RAICHO_WITH_DPDK=1 $(MAKE) build
	$(PY) -m pytest tests/dataplane/test_dpdk.py

soak: build ## The tests that take minutes
	$(PY) -m pytest -m soak -s

# The tests of test_finders.c, a process each.
SHAPES     := few exact prefixes masks many anything
SHAPE_RUNS := $(addprefix soak-tables/,$(SHAPES))

soak-tables: build/packages.stamp ## Every lookup against a list: 1 000 tables of 1 000 000 packets
	@$(AT_ONCE) $(SHAPE_RUNS)

.PHONY: $(SHAPE_RUNS)
$(SHAPE_RUNS): soak-tables/%: build/ctest/plain/tests/cext/test_finders
	$< 1000000 1000 $*

soak-threads: build/ctest/tsan/tests/cext/tsan_table ## Lookups beside changes, ten times as many as in CI
	$< 10

conformance: build ## Ryu's 991 OpenFlow 1.3 switch tests (needs root, takes half an hour)
	@PATH="$$PATH:/usr/sbin:/sbin" .ci/packages $(or $(PYTHON),python3.11) openvswitch-switch
	PYTHONPATH=build/tree:tests $(PY) -m conformance $(CONFORMANCE)

# C programs: the core is compiled once for every flavour, each test is linked with all of it, and
# run/FLAVOUR/TEST runs one.  Tests are independent, so as many run at once as there are cores.

CORE      := $(filter-out cext/dpdk/%,$(wildcard cext/*.c cext/*/*.c))
ARCH      := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)
CTEST_ALL := -std=gnu11 -g -Wall -Wextra $(if $(filter true,$(CI)),-Werror) -pthread \
             -Icext -Itests/cext -Itests/fuzz -MMD -MP
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CMOCKA_ARM64 := $(CURDIR)/build/arm64/usr

CC_plain := $(CC)
CC_asan  := $(CC)
CC_tsan  := $(CC)
CC_arm64 := aarch64-linux-gnu-gcc

CFLAGS_plain := -O2 $(ARCH)
CFLAGS_asan  := -O2 $(ARCH) $(SANITIZE)
# It knows no fences; what they order are atomics, which it does not complain of.
CFLAGS_tsan  := -O1 $(ARCH) -fsanitize=thread -Wno-tsan
CFLAGS_arm64 := -O2 -isystem $(CMOCKA_ARM64)/include

# qemu-user passes on no rings and few options of packet sockets, and no bpf(2).
KERNEL := $(patsubst %,tests/cext/test_port_%.c,af_packet af_packet_device af_xdp tap)

TESTS_plain := $(wildcard tests/cext/test_*.c)
FUZZERS     := $(wildcard tests/fuzz/fuzz_*.c)
TESTS_asan  := $(TESTS_plain) $(FUZZERS)
TESTS_tsan  := $(wildcard tests/cext/tsan_*.c)
TESTS_arm64 := $(filter-out $(KERNEL),$(TESTS_plain))

LIBS_plain := -lcmocka
LIBS_asan  := -lcmocka
LIBS_arm64 := -L$(CMOCKA_ARM64)/lib/aarch64-linux-gnu -Wl,-rpath=$(CMOCKA_ARM64)/lib/aarch64-linux-gnu -lcmocka

RUN_tsan  := TSAN_OPTIONS=halt_on_error=1 setarch -R
RUN_arm64 := qemu-aarch64 -L /usr/aarch64-linux-gnu

programs = $(patsubst %.c,build/ctest/$(1)/%,$(TESTS_$(1)))
runs     = $(patsubst %.c,run/$(1)/%,$(2))

define flavour
build/ctest/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "CC $(1) $$<"
	@$$(CC_$(1)) $$(CTEST_ALL) $$(CFLAGS_$(1)) -c -o $$@ $$<

build/ctest/$(1)/core.a: $(patsubst %.c,build/ctest/$(1)/%.o,$(CORE))
	@rm -f $$@ && $$(AR) rcs $$@ $$^

$(call programs,$(1)): %: %.o build/ctest/$(1)/core.a
	@$$(CC_$(1)) $$(CTEST_ALL) $$(CFLAGS_$(1)) -o $$@ $$(filter %.o,$$^) \
	    build/ctest/$(1)/core.a $$(WRAP) $$(LIBS_$(1)) -lm

.PHONY: $(call runs,$(1),$(TESTS_$(1)))
$(call runs,$(1),$(TESTS_$(1))): run/$(1)/%: build/ctest/$(1)/%
	@start=$$$$(date +%s); $$(RUN_$(1)) $$< $$(INPUTS) && echo "$$@: $$$$(($$$$(date +%s) - start)) s"
endef
$(foreach f,plain asan tsan arm64,$(eval $(call flavour,$(f))))
.SECONDARY:
-include $(shell find build/ctest -name '*.d' 2>/dev/null)

$(patsubst %.c,build/ctest/asan/%,$(FUZZERS)): build/ctest/asan/tests/fuzz/driver.o
$(call runs,asan,$(FUZZERS)): INPUTS := $(FUZZ_INPUTS)
run/asan/tests/cext/test_finders: INPUTS := 1000 200

# Tests that let memory run out (scarce.h).
comma := ,
%/test_scarce %/test_scarce_routes %/test_slab: WRAP := $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc \
                                     aligned_alloc free mmap munmap)

# Goes on after a failure, and shows what a test says in one piece.
AT_ONCE := $(MAKE) --no-print-directory -k -O -j$(shell nproc)

C_RUNS    := $(call runs,tsan,$(TESTS_tsan)) $(call runs,asan,$(TESTS_plain)) \
             $(call runs,plain,$(TESTS_plain))
FUZZ_RUNS := $(call runs,asan,$(FUZZERS))

test-c: build/packages.stamp ## C unit tests: plain, under ASan and UBSan, workers under TSan
	@$(AT_ONCE) $(C_RUNS)

test-fuzz: build/packages.stamp ## Mutated input, a million of each kind, under ASan and UBSan
	@$(AT_ONCE) $(FUZZ_RUNS)

test-arm64: build/packages.stamp ## C unit tests compiled for arm64, in an emulator (as root)
	@PATH="$$PATH:/usr/sbin:/sbin" .ci/packages $(or $(PYTHON),python3.11) \
	    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
	@test -e $(CMOCKA_ARM64)/include/cmocka.h \
	    || .ci/unpack arm64 build/arm64 libcmocka-dev libcmocka0
	@$(AT_ONCE) $(call runs,arm64,$(TESTS_arm64))

fuzz: build/packages.stamp ## Hunt with libFuzzer (clang), FUZZ_TIME seconds for each target
	@command -v clang-14 >/dev/null || { echo "clang-14 is missing"; exit 1; }
	@mkdir -p build/hunt; set -e; for t in $(FUZZERS); do \
	    out=build/hunt/$$(basename $$t .c); mkdir -p $$out.corpus; \
	    clang-14 $(filter-out -MMD -MP -Werror,$(CTEST_ALL)) $(ARCH) -O1 \
	        -fsanitize=fuzzer,address,undefined -o $$out $$t $(CORE) -lm; \
	    $$out -max_total_time=$${FUZZ_TIME:-60} $$out.corpus; done

# ---- leaving no trace ----------------------------------------------------------------------

clean: ## Remove what was built
	rm -rf build $(VENV)/editable.stamp
	find control dataplane -name '*.so' -delete 2>/dev/null || true

distclean: clean ## ... and the virtual environment
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
