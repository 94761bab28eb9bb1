#!/bin/sh
# bench/perf/variants.sh PERF_TRAIN [BURSTS]: training speed of every variant, and of dssm with every loss, against its floor
# (docs/performance.md).
set -e
printf '%-9s %-22s %10s %12s %10s %12s %10s\n' variant options examples/s FLOP bytes 'floor ex/s' 'of floor'
run() { "$1" --variant "$2" --options "$3" --bursts "$bursts"; }
bursts=${2:-8}
for v in dssm senet parallel dat inttower mlp dcn din cold; do run "$1" $v '{}'; done
for c in mlp dcn fm ffm cin; do run "$1" parallel "{channels: [$c]}"; done
run "$1" cold '{linear_log: true}'
run "$1" cold '{importance: se}'
for l in in_batch uniform popularity mixed; do "$1" --loss $l --bursts "$bursts"; done
"$1" --distill 1 --bursts "$bursts"
"$1" --loss mixed --distill 1 --bursts "$bursts"
