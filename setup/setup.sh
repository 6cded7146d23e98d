#!/usr/bin/env bash
# Builds and installs kaizend and kaizenctl, opens a project's data plane, and records the installation in it.
# Safe to run again: what is up to date stays, and nothing is recorded twice.
set -euo pipefail

usage() {
    cat <<TEXT
Usage: ./setup/setup.sh [--project DIR] [--prefix DIR] [--uninstall]

  --project DIR  The project whose data plane is opened (default: this repository)
  --prefix DIR   Install into DIR/bin (default: ~/.local)
  --uninstall    Remove the two installed programs, and nothing else: data planes and logs stay
TEXT
}

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit "${2:-1}"
}

say() { printf '==> %s\n' "$1"; }

repository=$(cd "$(dirname "$0")/.." && pwd -P)
project=$repository
prefix=${HOME:?HOME is not set}/.local
uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
        --project) [ $# -gt 1 ] || { usage >&2; exit 2; }; project=$2; shift ;;
        --prefix) [ $# -gt 1 ] || { usage >&2; exit 2; }; prefix=$2; shift ;;
        --uninstall) uninstall=yes ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'setup: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
bin=$prefix/bin

sha() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

if [ "$uninstall" = yes ]; then
    if [ -x "$bin/kaizenctl" ]; then "$bin/kaizenctl" daemon stop --all >/dev/null || true; fi
    rm -f "$bin/kaizenctl" "$bin/kaizend"
    say "removed $bin/kaizenctl and $bin/kaizend; data planes (AI/db) and logs (~/.local/state/kaizen) stay"
    exit 0
fi

[ -d "$project" ] || fail "there is no directory $project"
project=$(cd "$project" && pwd -P)
# rustup installs outside PATH until the next login.
command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
command -v cargo >/dev/null || fail "cargo is missing. Install Rust with rustup (https://rustup.rs), or on Debian: apt-get install rustup && rustup default stable" 69
command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
    fail "a C compiler is missing (SQLite is built from source). Debian and Ubuntu: apt-get install build-essential. Fedora: dnf install gcc. macOS: xcode-select --install" 69

cd "$repository"
target=${CARGO_TARGET_DIR:-$repository/target}
say "building kaizend (release); the first build takes some minutes"
cargo build --locked --quiet --release --package kaizend
daemon=$target/release/kaizend

# A static client without position independence starts faster. Where the C library cannot be linked that way, the
# ordinary build does as well.
host=$(rustc -vV | sed -n 's/^host: //p')
say "building kaizenctl (static)"
if RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
    cargo build --locked --quiet --profile client --package kaizenctl --target "$host" 2>/dev/null; then
    client=$target/$host/client/kaizenctl
else
    say "a static build is not possible here; building an ordinary one"
    cargo build --locked --quiet --profile client --package kaizenctl
    client=$target/client/kaizenctl
fi

mkdir -p "$bin"
changed=no
install_program() {
    if [ -f "$bin/$2" ] && cmp -s "$1" "$bin/$2"; then return; fi
    # A rename replaces a program that runs just now; writing into it would fail.
    cp "$1" "$bin/.$2.new"
    chmod 755 "$bin/.$2.new"
    mv -f "$bin/.$2.new" "$bin/$2"
    changed=yes
    say "installed $bin/$2"
}
install_program "$daemon" kaizend
install_program "$client" kaizenctl
if [ "$changed" = yes ]; then
    # A daemon of the build before finishes what it does; the next call starts the new one.
    "$bin/kaizenctl" daemon stop --all --json >/dev/null
else
    say "the installed programs are up to date"
fi

kaizen() { KAIZEN_REPO_ROOT=$project KAIZEN_ACTOR=setup "$bin/kaizenctl" "$@"; }
# The value of a key of a one-line JSON reply.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

say "opening the data plane of $project"
kaizen K1 --json >/dev/null

# The hashes of what was installed are the evidence. The record is made once for each pair of programs.
evidence=AI/work/install/$(sha "$bin/kaizend" | cut -c1-12)-$(sha "$bin/kaizenctl" | cut -c1-12).txt
mkdir -p "$project/AI/work/install"
if [ -f "$project/$evidence" ] && kaizen A4 --query "$evidence" --json | grep -q '"count":[1-9]'; then
    say "this installation is recorded already"
else
    {
        printf 'kaizend   %s  %s\n' "$(sha "$bin/kaizend")" "$("$bin/kaizend" --version)"
        printf 'kaizenctl %s  %s\n' "$(sha "$bin/kaizenctl")" "$("$bin/kaizenctl" --version)"
        rustc --version
    } >"$project/$evidence"
    task=$(kaizen W1 --title "Install kaizend and kaizenctl" \
        --summary "Build both programs from source and install them for this user." --json | field id)
    artifact=$(kaizen A1 --path "$evidence" --task-id "$task" --kind installation \
        --summary "SHA-256 and version of the installed programs." --json | field id)
    kaizen K1 --integrity --json >"$project/AI/work/install/integrity.json"
    if grep -q '"integrity":{"ok":true' "$project/AI/work/install/integrity.json"; then
        conclusion=VERIFIED_ACCEPTABLE
    else
        conclusion=VERIFICATION_FAILED
    fi
    kaizen Q2 --task-id "$task" --conclusion "$conclusion" \
        --summary "Both programs run, the daemon answers, and the full check of the data plane was read." \
        --evidence "[\"$evidence\", \"AI/work/install/integrity.json\"]" --artifact-ids "[\"$artifact\"]" --json >/dev/null
    kaizen W2 --id "$task" --task-id "$task" --status done \
        --summary "Installed; the hashes are recorded as artifact $artifact." --json >/dev/null
    [ "$conclusion" = VERIFIED_ACCEPTABLE ] || fail "the full check found faults: see $project/AI/work/install/integrity.json"
    say "the installation is recorded as task $task"
fi

case :$PATH: in
    *:"$bin":*) ;;
    *) say "add $bin to PATH to run kaizenctl by its name" ;;
esac
say "the digest of $project"
kaizen R0
