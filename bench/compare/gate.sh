#!/usr/bin/env bash
# The regression gate on configs/reference.yaml:
#     bench/compare/gate.sh BUILD           runs it twice, compares the two with each other and with results/reference
#     bench/compare/gate.sh BUILD --record  writes results/reference anew
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?usage: bench/compare/gate.sh BUILD [--record]}
prerank=$build/prerank out=$build/gate
count=()
if command -v valgrind >/dev/null; then count=(--instructions); fi
"$prerank" run configs/reference.yaml --quiet --no-report --out "$out" ${count[@]+"${count[@]}"}
if [ "${2:-}" = --record ]; then
    rm -rf results/reference
    mkdir -p results/reference/predictions
    cp "$out"/{effect,compute}.csv results/reference/
    [ ${#count[@]} -eq 0 ] || cp "$out"/instructions.csv results/reference/
    cp "$out"/predictions/*.csv results/reference/predictions/
    grep -v '^ *"host":' "$out/manifest.json" >results/reference/manifest.json
    echo "results/reference is what this program does now; look at its difference before you commit it"
    exit 0
fi
# on one thread: the very same program must give the very same bits
"$prerank" run configs/reference.yaml --quiet --no-report --out "$out-one-thread" --threads 1
"$prerank" compare "$out" "$out-one-thread" >"$out/threads.txt" || { cat "$out/threads.txt"; exit 1; }
if ! "$prerank" compare results/reference "$out" --exact --json "$out/compare.json" --junit "$out/compare.xml" \
    --markdown "$out/compare.md"; then
    echo "If that is what the change is for: make reference, and commit results/reference with it." >&2
    exit 1
fi
