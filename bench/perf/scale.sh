#!/usr/bin/env bash
# Time per row and peak anonymous memory of preparing and training, from 1 M to 100 M synthetic rows.
#   bench/perf/scale.sh [ROWS...]        default: 1M 10M 100M (the last needs about 15 GB of disk and some minutes)
# Anonymous memory is RssAnon of /proc/PID/status, sampled ten times a second; mapped files are not in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${PRERANK:-build/prerank}
out=results/scale
[ $# -gt 0 ] || set -- 1M 10M 100M

tick=$(getconf CLK_TCK)
peak_of() { # COMMAND...: runs it, prints "seconds cpu_seconds peak_kib"
    local start end pid peak=0 now cpu=0
    start=$(date +%s.%N)
    "$@" >"$out.log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        now=$(awk '/^RssAnon/{print $2}' "/proc/$pid/status" 2>/dev/null || true)
        [ "${now:-0}" -le "$peak" ] || peak=$now
        now=$(awk -v tick="$tick" '{print ($14 + $15) / tick}' "/proc/$pid/stat" 2>/dev/null || true)
        cpu=${now:-$cpu}
        sleep 0.1
    done
    wait "$pid" || { cat "$out.log" >&2; exit 2; }
    end=$(date +%s.%N)
    echo "$(echo "$end $start" | awk '{print $1 - $2}') $cpu $peak"
}

mkdir -p results
printf '%-8s %-18s %9s %11s %15s %14s\n' rows step seconds 'us per row' 'cpu us per row' 'peak anon MiB'
for rows in "$@"; do
    n=$(echo "$rows" | sed 's/M/000000/; s/k/000/')
    rm -rf "$out" results/data/scale
    sed -n '/^data:/,/^variants:/p' configs/scale.yaml | sed '1d;$d' | sed 's/^  //' |
        sed "s/rows: 1M/rows: $rows/" >"$out.yaml"
    read -r s cpu kib < <(peak_of "$program" data "$out.yaml" --out results/data/scale)
    echo "$rows prepare $s $n $cpu $kib" |
        awk '{printf "%-8s %-18s %9.1f %11.2f %15.2f %14.0f\n", $1, $2, $3, 1e6 * $3 / $4, 1e6 * $5 / $4, $6 / 1024}'
    trained=$((n < 20000000 ? n : 20000000))
    read -r s cpu kib < <(peak_of "$program" run configs/scale.yaml --out "$out" --set "data.synthetic.rows=$rows" --quiet)
    seconds=$(awk -F, 'NR==2{print $16}' "$out/effect.csv")
    echo "$rows train-first-$((trained / 1000000))M $seconds $trained $kib" |
        awk '{printf "%-8s %-18s %9.1f %11.2f %15s %14.0f\n", $1, $2, $3, 1e6 * $3 / $4, "", $5 / 1024}'
done
rm -rf "$out.yaml" "$out.log" results/data/scale
