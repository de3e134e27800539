# Everything starts here: each target installs the Debian packages it misses and builds first.
#
#   make            build/postern                      make bench   figures against peers
#   make run        a short tour                       make fuzz    fuzz targets, FUZZ_SECONDS each
#   make test       all suites, "N passed, N failed"   make lint    format check and static analysis
#   make attacks    of these the attacks of the threat model alone, as root and unprivileged
#   make layers     the attacks again, with one layer switched off at a time
#   make bench-http the HTTP server against nginx
#   make sim        the control plane on a virtual clock with crashes at every step, SEEDS of them
#   make clean      remove the build directories

BUILD = build
MESON = meson
FUZZ_SECONDS = 60
SEEDS = 10000

.PHONY: all packages run test attacks layers sim bench bench-http fuzz lint coverage clean install

all: packages
	@test -f $(BUILD)/build.ninja || $(MESON) setup $(BUILD)
	@$(MESON) compile -C $(BUILD)

packages:
	@tools/install-packages build

run: all
	@tools/install-packages run
	@tools/tour "$(abspath $(BUILD))/postern"

test:
	@tools/install-packages build test
	@/usr/bin/python3 tools/run-tests

attacks:
	@tools/install-packages build test
	@/usr/bin/python3 tools/run-tests attacks

layers:
	@tools/install-packages build test
	@/usr/bin/python3 tools/run-tests layers

sim: packages
	@test -f $(BUILD)/build.ninja || $(MESON) setup $(BUILD)
	@ninja -C $(BUILD) tests/sim/sim
	@$(BUILD)/tests/sim/sim --seeds $(SEEDS)

bench: all
	@tools/install-packages bench
	@bench/run.sh

bench-http: all
	@tools/install-packages bench
	@bench/http.sh

fuzz:
	@tools/install-packages build lint
	@test -f build-fuzz/build.ninja || CC=clang $(MESON) setup build-fuzz -Dfuzz=true -Db_lundef=false
	@$(MESON) compile -C build-fuzz
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

lint:
	@tools/install-packages build lint
	@tools/lint

coverage:
	@tools/install-packages build test
	@test -f build-coverage/build.ninja || $(MESON) setup build-coverage -Db_coverage=true
	@$(MESON) test -C build-coverage
	@gcov --version >/dev/null && ninja -C build-coverage coverage-text && cat build-coverage/meson-logs/coverage.txt

install: all
	@$(MESON) install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-*
