#!/bin/sh
# bench/perf/variants.sh PERF_TRAIN [BURSTS]: training speed of every variant against its floor (docs/performance.md).
set -e
printf '%-9s %-22s %10s %12s %10s %12s %10s\n' variant options examples/s FLOP bytes 'floor ex/s' 'of floor'
run() { "$1" --variant "$2" --options "$3" --bursts "$bursts"; }
bursts=${2:-8}
for v in dssm senet parallel dat inttower mlp dcn din cold; do run "$1" $v '{}'; done
for c in mlp dcn fm ffm cin; do run "$1" parallel "{channels: [$c]}"; done
run "$1" cold '{linear_log: true}'
run "$1" cold '{importance: se}'
