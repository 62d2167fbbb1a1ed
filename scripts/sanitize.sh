#!/bin/sh
# The unit tests of the files with unsafe code that run on the CPU (docs/SAFETY.md), under valgrind: reads and writes outside of
# allocations, memory that was freed, numbers that were never set. Valgrind has no AVX-512, so AVX2 and the baseline are tried.
# Needs valgrind (apt-get install valgrind); about ten minutes.
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "sanitize: valgrind is not installed" >&2; exit 2; }
tests=$(cargo test --lib --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
[ -x "$tests" ] || { echo "sanitize: the tests do not compile: cargo test --lib --no-run" >&2; exit 2; }
RAYON_NUM_THREADS=2 valgrind --error-exitcode=9 --quiet "$tests" --test-threads=1 \
    ops::linear::turn ops::linear::int8::dots ops::linear::tests files:: weights:: embed::store::part
