# One word for each thing that a person does here. Each target sets up what it needs first; that is quick and
# silent when nothing is missing.

TARGET := x86_64-unknown-linux-gnu
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.PHONY: build demo dist test lint bench eval replay benign fuzz setup clean

# The release binaries, in target/release.
build:
	@scripts/setup build
	cargo build --release --locked --package runward --package runward-server
	@for program in runward runward-server; do \
		install -D --mode=755 $(TARGET_DIR)/$(TARGET)/release/$$program $(TARGET_DIR)/release/$$program; \
	done

# Watches a real build of packages from three ecosystems, and shows it on a control plane of its own.
demo: build
	@scripts/setup demo
	@scripts/demo $(TARGET_DIR)/release/runward $(TARGET_DIR)/release/runward-server

# The agent as a tarball, a deb, an rpm and the binary alone, with checksums and the list of what is in the binary, in target/dist.
dist: build
	@scripts/setup dist
	@cargo xtask dist --runward $(TARGET_DIR)/release/runward

# Everything that can be checked on this machine, virtual machines included. What can't run is skipped by name.
test:
	@scripts/setup test
	@cargo xtask test

# The quick half of `make test`: format and lints.
lint:
	@scripts/setup build
	@cargo xtask lint

# What Runward costs, measured against the bare command.
bench: build
	@scripts/setup bench
	@cargo xtask bench --runward $(TARGET_DIR)/release/runward

# How often baselines cry wolf, and what they miss: `make eval CORPUS=DIR`, with histories of real allowlists.
eval:
	@scripts/setup build
	@cargo xtask eval $(if $(CORPUS),--corpus "$(CORPUS)")

# Incidents of the last years, re-enacted without their malice: here, and in a virtual machine whose kernel has
# trampolines. The table of this machine is left in target/replay.json.
ROUNDS ?= 6
replay: build
	@scripts/setup test
	@cargo run --quiet --locked --package runward-lab -- replay \
		--runward $(TARGET_DIR)/release/runward --json $(TARGET_DIR)/replay.json --rounds $(ROUNDS)
	@cargo xtask vm-test --kernel debian-cloud --package runward --filter replays

# Real builds of eight ecosystems, with packages from their registries: nothing may be found that is not explained.
benign: build
	@scripts/setup benign
	@cargo xtask benign --runward $(TARGET_DIR)/release/runward

# The parsers of hostile input against what they have never seen, each for so many seconds.
FUZZ_SECONDS ?= 30
fuzz:
	@scripts/setup build fuzz
	@cargo xtask fuzz --seconds $(FUZZ_SECONDS)

# Installs what the machine lacks for all of the above.
setup:
	@scripts/setup build test demo bench fuzz benign dist

clean:
	cargo clean
