# Two commands on a fresh Debian or Ubuntu machine:
#   make dev    builds and starts the node against a development network of its own, and prints what to try next
#   make test   runs every test but the hours-long ones
SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.PHONY: help dev test test-long bench build fmt lint install

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: ## what building needs (C++ compiler, libclang, Rust); says what it does, does nothing twice
	@bash .ci/install

dev: install ## build, then run a development network with a light node joined to it
	@. .ci/env
	echo "rushlight: building (the first time RocksDB takes about 20 minutes on 2 cores)"
	cargo build --workspace --locked
	exec "$$CARGO_TARGET_DIR/debug/rushlight" dev $(ARGS)

test: install ## every test but the hours-long ones
	@bash .ci/test --locked

test-long: install ## hours: fuzzing, a thousand kills, large simulated networks
	@bash .ci/test-long

bench: install ## figures for docs/benchmarks.md
	@bash .ci/bench

build: install ## the optimised binary, for operators: target/release/rushlight
	@. .ci/env
	CARGO_TARGET_DIR=target cargo build --release --locked -p rushlight

fmt: ## format the code
	@. .ci/env
	cargo fmt --all

lint: install ## clippy, warnings as errors
	@. .ci/env
	cargo clippy --workspace --all-targets --locked -- -D warnings
