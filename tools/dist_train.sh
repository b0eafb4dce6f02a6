#!/usr/bin/env bash
# Train on several GPUs: dist_train.sh CONFIG GPUS [options of train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ $# -lt 2 ]; then sed -n "2,3s/^# //p" "$0" >&2; exit 2; fi
exec python "$(dirname "$0")/launch.py" "$2" train "$1" "${@:3}"
