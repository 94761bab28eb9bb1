#!/usr/bin/env bash
# Installs the Debian packages that prerank needs and that are missing. Asks nothing, says what it does, changes nothing when
# everything is there.
#   ./setup.sh run     to build and run: compiler, libraries, gnuplot, the MovieLens data package
#   ./setup.sh test    run + the test framework and the linters
#   ./setup.sh fuzz    run + clang with libFuzzer
#   ./setup.sh coverage    test + gcovr
#   ./setup.sh bench   run + PyTorch, the peer that `make bench` measures against, and what writes ONNX models
set -euo pipefail

run=(build-essential pkg-config libopenblas-pthread-dev libyaml-dev libcsv-dev libjansson-dev libxxhash-dev libzstd-dev
     zlib1g-dev liblmdb-dev libhiredis-dev libfaiss-dev gnuplot-nox fonts-dejavu-core r-base-core r-cran-dslabs)
test=(libcriterion-dev redis-server valgrind clang-format clang-tidy cppcheck python3-numpy python3-scipy python3-sklearn python3-pandas
      python3-yaml chromium)
fuzz=(clang-14 libclang-rt-14-dev)
coverage=(gcovr)
bench=(python3-numpy python3-torch python3-onnx nodejs npm)

usage="usage: ./setup.sh run|test|fuzz|coverage|bench"
case "${1:-}" in
run) want=("${run[@]}") ;;
test) want=("${run[@]}" "${test[@]}") ;;
fuzz) want=("${run[@]}" "${fuzz[@]}") ;;
coverage) want=("${run[@]}" "${test[@]}" "${coverage[@]}") ;;
bench) want=("${run[@]}" "${bench[@]}") ;;
*) echo "$usage" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
    echo "setup.sh: this is no Debian system; install the equivalents of: ${want[*]}" >&2
    exit 2
}
missing=()
for p in "${want[@]}"; do
    # npm comes with nodejs where that is not Debian's own package
    if [ "$p" = npm ] && command -v npm >/dev/null; then continue; fi
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup.sh: these packages are missing and installing needs root: ${missing[*]}" >&2
        exit 2
    }
    as_root=(sudo)
fi
echo "setup.sh: installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup.sh: apt-get failed; the whole log is in $log" >&2
    exit 2
fi
rm -f "$log"
echo "setup.sh: done" >&2
