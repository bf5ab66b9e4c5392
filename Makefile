# Builds, tests and shows crsql. `make` alone lists what there is. Needs Rust, a C compiler and the
# sqlite3 shell; `make valgrind` needs valgrind too.

CARGO ?= cargo
SQLITE3 ?= sqlite3
VALGRIND ?= valgrind
SECONDS ?= 60
SEEDS ?= 2000
CASES ?= 1000000
OUT := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
EVERY ?= 1
ROUNDS ?= 500
TOOLS := target/tools
# The packages beside the extension share a folder, so that SQLite is compiled once for two of them.
BESIDE := $(CARGO) run --release --locked --target-dir target/beside --manifest-path

ifeq ($(OS),Windows_NT)
BUILT := crsql.dll
LIBRARY := crsql.dll
else ifeq ($(shell uname -s),Darwin)
BUILT := libcrsql.dylib
LIBRARY := crsql.dylib
else
BUILT := libcrsql.so
LIBRARY := crsql.so
endif

DENY := $(or $(shell command -v cargo-deny 2>/dev/null),$(TOOLS)/bin/cargo-deny)

.DEFAULT_GOAL := help
.PHONY: help build demo test lint audit bench bench-quick counts laws sim planted faults kill fuzz matrix \
	valgrind helgrind asan miri mutants coverage test-bindings dist clean need-sqlite3

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

build: ## the extension, release build, as ./crsql.so (.dylib, .dll)
	$(CARGO) build --release --locked
	@# Copied aside and renamed: a process that has the old library mapped keeps it whole.
	@cp "$(OUT)/release/$(BUILT)" "$(LIBRARY).new" && mv -f "$(LIBRARY).new" "$(LIBRARY)"
	@echo "built ./$(LIBRARY)"

demo: build need-sqlite3 ## two databases edited apart and synced, in the stock sqlite3 shell
	SQLITE3="$(SQLITE3)" examples/demo.sh

test: need-sqlite3 ## every test: Rust, SQL scripts, documents, house rules
	$(CARGO) test --locked --features register

lint: $(DENY) ## formatting, clippy, licences and sources of what we depend on
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features register -- -D warnings
	set -e; for crate in sim benches fuzz; do $(CARGO) clippy --release --locked \
		--target-dir target/beside --manifest-path $$crate/Cargo.toml -- -D warnings; done
	"$(DENY)" --locked check licenses bans sources

audit: $(DENY) ## known advisories and yanked crates (reads the network)
	"$(DENY)" --locked check advisories

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --root $(TOOLS) --locked cargo-deny

bench: build ## the benchmarks in full; PEER="x.so y.so" beside them, MATRIX=1, HUGE=1, SVG=1 for docs/performance.svg
	$(BESIDE) benches/Cargo.toml -- --json target/bench.json $(patsubst %,--peer %,$(PEER)) \
		$(if $(MATRIX),--matrix) $(if $(HUGE),--huge) $(if $(SVG),--svg docs/performance.svg)

bench-quick: build ## the benchmarks, small and fast
	$(BESIDE) benches/Cargo.toml -- --quick $(patsubst %,--peer %,$(PEER)) \
		$(if $(SVG),--svg docs/performance.svg)

counts: build ## instructions per row of each operation, against benches/counts.txt; BLESS=1 keeps them
	@command -v $(VALGRIND) >/dev/null || { echo "valgrind is missing: install the package valgrind."; exit 1; }
	$(BESIDE) benches/Cargo.toml -- --counts benches/counts.txt $(if $(BLESS),--bless)

laws: ## CASES=1000000 random cases for each law of merging, beside the small world in full
	CRSQL_CASES=$(CASES) $(CARGO) test --locked --test laws --test laws_types

sim: ## SEEDS=2000 simulated worlds; SEED=x runs one and tells what happens in it
	$(BESIDE) sim/Cargo.toml -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

planted: ## bugs planted in crsql: the simulator finds each within 10,000 seeds
	RUSTFLAGS="--cfg crsql_plant" $(CARGO) run --release --locked --target-dir target/planted \
		--manifest-path sim/Cargo.toml -- --planted 1 --seeds 10000

faults: ## every call that can fail fails once, and for good, in the scripts of sim/faults; EVERY=50 for a slice
	$(BESIDE) sim/Cargo.toml -- --faults 1 --every $(EVERY) $(if $(SCRIPT),--script $(SCRIPT))

kill: ## ROUNDS=500 times, processes that write and apply are killed
	CRSQL_ROUNDS=$(ROUNDS) $(CARGO) test --locked --test kill -- --nocapture

fuzz: ## hostile bytes against all that reads them, for SECONDS=60; TARGET=apply for one target
	@CARGO="$(CARGO)" fuzz/run.sh $(SECONDS) "$(TARGET)" $(if $(PLAIN),plain)

matrix: build ## tests/sql with SQLite 3.38 to 3.54, page sizes, journal modes; MATRIX="3.46.0" for one
	tests/matrix/run.sh "./$(LIBRARY)" $(MATRIX)

valgrind: build need-sqlite3 ## the smoke script under valgrind: no bad access, no leak
	@command -v $(VALGRIND) >/dev/null || { echo "valgrind is missing: install the package valgrind."; exit 1; }
	$(VALGRIND) --quiet --error-exitcode=9 --leak-check=full \
		$(SQLITE3) -batch -bail -cmd '.load ./crsql' :memory: < tests/sql/smoke.sql

helgrind: ## the tests of many threads under helgrind: no access to memory without order
	@command -v $(VALGRIND) >/dev/null || { echo "valgrind is missing: install the package valgrind."; exit 1; }
	tests/proof/helgrind.sh $(VALGRIND)

asan: need-sqlite3 ## every test under AddressSanitizer and LeakSanitizer (x86-64 Linux, gcc)
	tests/proof/asan.sh

miri: ## the tests of floor 0 in Miri, which sees undefined behaviour (nightly Rust)
	tests/proof/miri.sh

mutants: $(TOOLS)/bin/cargo-mutants ## every mutant of floor 0 is caught by its tests; MUTANTS="-f src/words/merge.rs"
	CARGO_MUTANTS=$< tests/proof/mutants.sh $(MUTANTS)

$(TOOLS)/bin/cargo-mutants:
	$(CARGO) install --root $(TOOLS) --locked cargo-mutants

coverage: need-sqlite3 ## the lines and branches that the tests reach, by file
	tests/proof/coverage.sh

test-bindings: build ## every package in its real drivers, installed as a user does; BINDINGS="python go" for some
	bindings/test.sh "./$(LIBRARY)" $(BINDINGS)

dist: ## every package for this platform, with checksums, in dist/
	rm -rf dist
	bindings/dist.sh dist

clean: ## remove what was built
	$(CARGO) clean
	rm -rf crsql.so crsql.dylib crsql.dll dist

need-sqlite3:
	@command -v $(SQLITE3) >/dev/null || { echo "The sqlite3 shell is missing: install the package" \
		"sqlite3 (Debian, Ubuntu) or sqlite (Fedora, Alpine, Homebrew)."; exit 1; }
