#!/usr/bin/env bash
# tests/fuzz/run.sh BUILD SECONDS [TARGET]...: runs each fuzz target for that long, from the committed seeds and from what
# earlier runs found worth keeping (BUILD/corpus). A finding ends with exit code 1; its input is left in BUILD/findings/.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- experiment schema csv npy safetensors dataset
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1
failed=0
for target; do
    mkdir -p "$build/corpus/$target" "$build/findings/$target"
    more=() dict=()
    case $target in
    experiment) more=(configs) dict=(-dict=tests/fuzz/yaml.dict) ;;
    schema) more=(configs/data) dict=(-dict=tests/fuzz/yaml.dict) ;;
    npy) more=(tests/fixtures/data) ;;
    safetensors | dataset) dict=(-dict=tests/fuzz/json.dict) ;;
    esac
    seeds=tests/fuzz/seeds/$target
    [ ! -d "$seeds" ] || more+=("$seeds")
    log=$build/fuzz_$target.log
    if "$build/fuzz_$target" "$build/corpus/$target" "${more[@]}" "${dict[@]}" -max_total_time="$seconds" -max_len=16384 \
        -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$build/findings/$target/" -print_final_stats=1 >"$log" 2>&1; then
        printf '%-12s no finding in %s inputs, %s s\n' "$target" \
            "$(sed -n 's/stat::number_of_executed_units: *//p' "$log")" "$seconds"
    else
        failed=1
        echo "$target: FINDING, input in $build/findings/$target/, log in $log" >&2
        grep -m 3 -E 'SUMMARY|ERROR|^fuzz:' "$log" >&2 || tail -n 5 "$log" >&2
    fi
done
exit $failed
