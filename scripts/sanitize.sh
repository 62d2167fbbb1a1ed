#!/bin/sh
# The unit tests of the files with unsafe code that run on the CPU (docs/SAFETY.md), under Miri where it is installed
# (rustup component add miri --toolchain nightly) and under valgrind (apt-get install valgrind): reads and writes outside of
# allocations, memory that was freed, numbers that were never set; with Miri also what a reference may not do.
#
#   scripts/sanitize.sh            both, as far as they are here
#   scripts/sanitize.sh miri       one of them, or an error
#   scripts/sanitize.sh valgrind
#
# Miri knows no maps of files and no AVX-512; valgrind knows maps, and no AVX-512: AVX2 and the baseline are tried.
set -eu
cd "$(dirname "$0")/.."
which=${1:-both}
has_miri() { cargo +nightly miri --version >/dev/null 2>&1; }
has_valgrind() { command -v valgrind >/dev/null; }
export BIOLLMNET_NVCC=none RAYON_NUM_THREADS=2 PROPTEST_CASES=4
tried=0
if [ "$which" != valgrind ]; then
    if has_miri; then
        # Threads of the pool outlive the test, and the pool's own deque casts integers to pointers.
        MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-permissive-provenance" CARGO_TARGET_DIR=target/miri \
            cargo +nightly miri test --lib -- ops::linear::turn ops::linear::int8::dots ops::linear::finish
        tried=1
    else
        echo "sanitize: Miri is not installed" >&2
    fi
fi
if [ "$which" != miri ]; then
    if has_valgrind; then
        tests=$(cargo test --lib --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
        [ -x "$tests" ] || { echo "sanitize: the tests do not compile: cargo test --lib --no-run" >&2; exit 2; }
        valgrind --error-exitcode=9 --quiet "$tests" --test-threads=1 \
            ops::linear::turn ops::linear::int8::dots ops::linear::tests files:: weights:: embed::store::part
        tried=1
    else
        echo "sanitize: valgrind is not installed" >&2
    fi
fi
[ "$tried" = 1 ] || exit 2
