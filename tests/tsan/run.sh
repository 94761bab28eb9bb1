#!/usr/bin/env bash
# tests/tsan/run.sh BUILD: the thread pool, then training and serving of tests/robust/everything.yaml with 4 threads, built with
# ThreadSanitizer. OpenBLAS, which is not, runs on one thread. No suppressions.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OPENBLAS_NUM_THREADS=1 TSAN_OPTIONS="halt_on_error=0 exitcode=66 second_deadlock_stack=1"
# its shadow memory wants addresses that are not spread too far (vm.mmap_rnd_bits above 28)
run() { setarch -R "$@"; }

if run "$build/tsan_pool" race >"$folder/log" 2>&1 || ! grep -q 'WARNING: ThreadSanitizer: data race' "$folder/log"; then
    echo "tsan: the planted race was not found:" >&2
    tail -n 5 "$folder/log" >&2
    exit 1
fi
echo "planted race found"
run "$build/tsan_pool"
echo "pool: no race"
# serving: with each store that needs no server, in each precision, in closed and open loop; few requests, for a race shows at once
settings=("data_dir=$folder/data" "seeds=[1]" "measure.candidates=[10,40]" "measure.requests=60" "measure.warmup=2"
          "measure.min_seconds=0" "measure.store=[memory,lmdb]" "measure.precision=[fp32,bf16,int8]" "measure.load=[closed,open]"
          "measure.open_seconds=0.02")
if ! run "$build/prerank" run tests/robust/everything.yaml "${settings[@]/#/--set=}" --out "$folder/out" --threads 4 --quiet --no-report \
        >"$folder/log" 2>&1 || grep -q 'WARNING: ThreadSanitizer' "$folder/log"; then
    cat "$folder/log" >&2
    exit 1
fi
echo "training and serving: no race ($(($(wc -l <"$folder/out/effect.csv") - 1)) rows of effect.csv," \
    "$(($(wc -l <"$folder/out/compute.csv") - 1)) of compute.csv)"
