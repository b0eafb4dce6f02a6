#!/usr/bin/env bash
# Evaluate on several GPUs: dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ $# -lt 3 ]; then sed -n "2,3s/^# //p" "$0" >&2; exit 2; fi
exec python "$(dirname "$0")/launch.py" "$3" test "$1" "$2" "${@:4}"
