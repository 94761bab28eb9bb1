#!/usr/bin/env bash
# tests/tsan/run.sh BUILD: the thread pool, then training and serving of tests/robust/everything.yaml with 4 threads, then Redis, all
# precisions and retrieval with tests/tsan/serve.yaml, built with ThreadSanitizer. OpenBLAS and FAISS, which are not, run on one thread.
# No suppressions.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 TSAN_OPTIONS="halt_on_error=0 exitcode=66 second_deadlock_stack=1"
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
# watch CONFIG NAME SETTING...: a run into $folder/NAME in which nothing may be found. Exit code 3 is fine: no model fits a budget of
# time, which says nothing here.
watch() {
    local config=$1 name=$2 settings=("${@:3}") code=0
    run "$build/prerank" run "$config" "${settings[@]/#/--set=}" --out "$folder/$name" --threads 4 --quiet --no-report \
        >"$folder/log" 2>&1 || code=$?
    if { [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; } || grep -q 'WARNING: ThreadSanitizer' "$folder/log"; then
        cat "$folder/log" >&2
        exit 1
    fi
}
rows() { echo "$(($(wc -l <"$folder/$1") - 1)) rows of ${1#*/}"; }
watch tests/robust/everything.yaml out "${settings[@]}"
echo "training and serving: no race ($(rows out/effect.csv), $(rows out/compute.csv))"
# four servers at once over what they share, and the search for their usable rate
watch tests/robust/everything.yaml servers "${settings[@]}" "variants=[dssm,mlp]" "select={}" "measure.servers=4" "measure.candidates=[40]" \
    "measure.precision=[fp32,int8]" "measure.load=[closed,open,usable]" "measure.limit_ms=50" "measure.probe_seconds=0.05" \
    "measure.probe_tolerance=0.9" "measure.threads_over_candidates=always"
echo "four servers: no race ($(rows servers/compute.csv))"

stores=memory,lmdb
settings=("data_dir=$folder/small")
if command -v redis-server >/dev/null; then # of its own, on a free port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$folder" --daemonize no >"$folder/redis.log" 2>&1 &
    server=$!
    for _ in $(seq 200); do
        if redis-cli -p "$port" ping >"$folder/ping" 2>&1; then break; fi
        sleep 0.05
    done
    stores+=,redis
    settings+=("measure.store_server=127.0.0.1:$port")
fi
watch tests/tsan/serve.yaml serve "measure.store=[$stores]" "${settings[@]}"
echo "$stores, all precisions, retrieval: no race ($(rows serve/compute.csv), $(rows serve/retrieval.csv))"
