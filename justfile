# The steps of CI, to run one at a time. `just` lists them; `just ci` runs the whole.
# Extra words are passed on: `just fmt --check`, `just test -p kaizend`.

# Show the recipes.
default:
    @just --list --unsorted

# Format every crate (CI: `just fmt --check`).
fmt *flags:
    cargo fmt --all {{ flags }}

# Clippy over all targets; a warning is an error.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Build the documentation; a broken link is an error.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Run all tests.
test *flags:
    cargo test --workspace --locked {{ flags }}

# Write docs/operations.md and docs/contract.json from the contract.
contract *flags:
    cargo xtask contract {{ flags }}

# Kill the daemon again and again, and compare what it had acknowledged with what is stored.
crash rounds="25":
    cargo xtask crash --rounds {{ rounds }}

# Look for statements that read a whole table, in a plane of so many records.
explain records="100000":
    cargo xtask explain --records {{ records }}

# Print every figure beside its reference.
bench *flags:
    cargo xtask bench {{ flags }}

# Everything CI runs, in its order.
ci:
    .ci/run

# Build the release binaries, install them and open this project's data plane.
setup *flags:
    ./setup/setup.sh {{ flags }}
