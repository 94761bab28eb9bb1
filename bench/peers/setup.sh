#!/usr/bin/env bash
# What `make bench` needs beyond ./setup.sh bench: ONNX Runtime from npm, into BUILD/peers (the CPU library is inside the
# package; no install script runs). Usage: bench/peers/setup.sh BUILD
set -euo pipefail
folder=${1:?usage: setup.sh BUILD}/peers
version=1.30.0
if [ ! -e "$folder/node_modules/onnxruntime-node/package.json" ]; then
    echo "installing onnxruntime-node $version into $folder (npm, about 290 MB)" >&2
    mkdir -p "$folder"
    npm install --prefix "$folder" "onnxruntime-node@$version" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
/usr/bin/python3 -c 'import numpy, onnx, torch' || {
    echo "bench/peers needs python3-torch, python3-onnx and python3-numpy: ./setup.sh bench" >&2
    exit 2
}
