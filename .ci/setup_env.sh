#!/usr/bin/env bash
# Makes the checkout's .venv with the versions in constraints.txt; `make setup` calls this.
#     .ci/setup_env.sh                   for running: the onedl family
#     .ci/setup_env.sh upstream          .venv-upstream instead, with OpenMMLab's own packages: the
#                                        versions of upstream.txt, of constraints.txt for the rest
#     .ci/setup_env.sh [upstream] dev    adds what the tests need to the one that is there; to .venv
#                                        the linters, mmsegmentation and mmrotate too
# May be interrupted and run again at any time: pip skips what is installed already.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
OPERATORS=${OPERATORS:-}  # 'compiled' for mmcv's own; torchvision's stand in otherwise
# NEWEST: the newest Python that the pinned versions have wheels for.
if [[ ${1:-} == upstream ]]; then
    shift
    VENV=.venv-upstream NEWEST=11 TARGET=test-upstream CONSTRAINTS=.venv-upstream/constraints.txt
    MMCV=mmcv
    [[ $OPERATORS == compiled ]] || MMCV=mmcv-lite
    PACKAGES=(--editable '.[report]' "$MMCV" mmdet mmengine mmpretrain opencv-python)
    TOOLS=(--editable '.[completion,openmmlab-seg,supervision]' hypothesis pytest pytest-xdist wheel)
else
    VENV=.venv NEWEST=13 TARGET=setup CONSTRAINTS=constraints.txt
    MMCV=onedl-mmcv
    PACKAGES=(--editable '.[onedl,report]')
    TOOLS=(--editable '.[dev]')
fi
LOG=$VENV/setup.log
NETWORK='Check the network, the index that pip is set to and the free space (df -h .).'
STEP=0
STEPS=3
CHILD=

stop() {  # MESSAGE...
    printf '%s\n' "$@" >&2
    exit 1
}

step() {  # TITLE
    STEP=$((STEP + 1))
    echo "[$STEP/$STEPS] $1"
}

failed() {  # WHAT TO DO...
    echo "Step $STEP failed. The end of $LOG:" >&2
    tail -n 25 "$LOG" | cut -c 1-200 >&2
    stop '' "$@" 'Then run the same command again: it goes on where it stopped.'
}

progress() {  # FIRST LINE IN THE LOG: ninja's last [done/all] if there is one, or the last line
    local last
    last=$(tail -n "+$1" "$LOG" | grep -oE '^ *\[[0-9]+/[0-9]+\]' | tail -n 1) ||
        last=$(tail -n 1 "$LOG" | cut -c 1-70)
    printf '      %d:%02d %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$last"
}

run() {  # COMMAND...: into the log, with a line every 20 seconds
    echo "+ $*" >> "$LOG"
    local first seconds=0
    first=$(wc -l < "$LOG")
    set -m  # a process group of its own, which can be ended as a whole
    "$@" >> "$LOG" 2>&1 < /dev/null &
    set +m
    CHILD=$!
    while kill -0 "$CHILD" 2> /dev/null; do
        sleep 1
        if ((++seconds % 20 == 0)); then progress "$first"; fi
    done
    wait "$CHILD"
}

pip_install() {
    run "$VENV/bin/python" -m pip install -c "$CONSTRAINTS" "$@"
}

interrupted() {
    # SIGINT rather than SIGTERM, so that pip clears up behind itself.
    { kill -INT -- "-$CHILD" && wait "$CHILD"; } 2> /dev/null || true
    stop '' 'Interrupted; the same command goes on here.'
}
trap interrupted INT TERM

one_opencv() {  # the one that needs no display
    # mmcv and mmseg ask for the first, imaug for both, which hold the same files. The second line
    # brings back what the first took with it.
    "$VENV/bin/python" -m pip show opencv-python > /dev/null 2>&1 || return 0
    run "$VENV/bin/python" -m pip uninstall --yes opencv-python || true
    pip_install --no-compile --no-deps --force-reinstall opencv-python-headless || failed "$NETWORK"
}

if [[ ${1:-} == dev ]]; then
    STEPS=1
    step "What the tests need"
    pip_install "${TOOLS[@]}" || failed "$NETWORK"
    one_opencv
    run "$VENV/bin/python" -m compileall -q -j 0 "$VENV/lib" || true  # what --no-compile left below
    touch "$VENV/dev"
    exit
fi

OLDEST=$(sed -n "s/.*python_requires='>=3\.\([0-9]*\)'.*/\1/p" setup.py)
"$PYTHON" -c "import sys; sys.exit(not (3, $OLDEST) <= sys.version_info[:2] <= (3, $NEWEST))" ||
    stop "$PYTHON ($("$PYTHON" --version 2> /dev/null || echo 'no such program')) is not Python 3.$OLDEST to 3.$NEWEST." \
        "Name one that is, for example: make $TARGET PYTHON=python3.$NEWEST"
[[ $OPERATORS == '' || $OPERATORS == compiled ]] ||
    stop "OPERATORS=$OPERATORS is unknown: give OPERATORS=compiled, or leave it out."
[[ -z $OPERATORS ]] || STEPS=4
HEADERS=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[[ -z $OPERATORS ]] || echo '#include <Python.h>' | ${CXX:-c++} -x c++ -fsyntax-only -I"$HEADERS" - ||
    stop "mmcv's operators cannot be compiled: there is no C++ compiler, or no Python.h." \
        'On Debian and Ubuntu: apt install build-essential python3-dev. CXX names another compiler.'

step "Python environment $VENV, with $("$PYTHON" --version)"
"$VENV/bin/python" -m pip --version > /dev/null 2>&1 || "$PYTHON" -m venv --clear "$VENV" ||
    stop "$PYTHON cannot make an environment. On Debian and Ubuntu: apt install python3-venv"
export PATH=$PWD/$VENV/bin:$PATH  # where torch looks for ninja
date >> "$LOG"
# Of two pins of one package the first.
[[ $CONSTRAINTS == constraints.txt ]] || awk -F == '!seen[$1]++' .ci/upstream.txt constraints.txt > "$CONSTRAINTS"
pip_install --upgrade pip setuptools ${OPERATORS:+ninja packaging wheel} || failed "$NETWORK"

step 'torch and torchvision: several gigabytes with their CUDA packages'
pip_install torch torchvision || failed "$NETWORK"

check() {  # mmcv's operators run on every device, and the imports; writes $VENV/ready
    # The Makefile's commands read that file: with operators for the CPU alone they hide the GPU.
    # What it imports stays compiled, also where images of containers have Python not do that.
    env -u PYTHONDONTWRITEBYTECODE "$VENV/bin/python" - "$VENV/ready.tmp" >> "$LOG" 2>&1 << 'END' &&
import sys

import mmscale  # first, so that torchvision's operators stand in where they may
import mmdet.apis, mmpretrain.apis, torch
from mmcv.ops import get_compiler_version, get_compiling_cuda_version, nms

for device in ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']:
    nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device), torch.ones(1, device=device), 0.5)
hidden = get_compiling_cuda_version() == 'not available'
with open(sys.argv[1], 'w') as ready:
    print(f"# mmcv's operators: {get_compiler_version()}", file=ready)
    print('export CUDA_VISIBLE_DEVICES=' if hidden else '', file=ready)
END
        mv "$VENV/ready.tmp" "$VENV/ready"
}

install_mmcv() {  # PIP'S OPTIONS...
    if [[ -z $OPERATORS ]]; then
        pip_install "$MMCV" "$@" || failed "$NETWORK"
    else
        MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
            pip_install --verbose --no-build-isolation "$MMCV" "$@" ||
            failed "If it is the GPU part that does not compile: CUDA_VISIBLE_DEVICES= make $TARGET"
    fi
}

if [[ -n $OPERATORS ]]; then
    export MMSCALE_OPERATORS=compiled
    # Where torch sees a GPU, mmcv compiles for it, with a CUDA toolkit of torch's major version.
    GPU=$("$VENV/bin/python" - 2>> "$LOG" << 'END'
import re, subprocess, torch
from torch.utils.cpp_extension import CUDA_HOME

if not torch.cuda.is_available():
    print('none')
else:
    nvcc = subprocess.getoutput(f"'{CUDA_HOME}/bin/nvcc' --version")
    found = re.search(r'release (\d+)', nvcc)
    cuda = str(torch.version.cuda)
    print('usable' if found and found[1] == cuda.partition('.')[0] else cuda)
END
    ) || failed "torch cannot be imported: remove $VENV."
    case $GPU in
    none) step "mmcv, compiling its operators: 5 to 8 minutes on two cores" ;;
    usable) step "mmcv, compiling its operators for the GPU too: 10 to 40 minutes" ;;
    *) stop "There is a GPU, but no CUDA toolkit $GPU (nvcc) to compile mmcv's operators for it." \
        'Install it and set CUDA_HOME, or hide the GPU (CUDA_VISIBLE_DEVICES=), or leave' \
        "OPERATORS=compiled out: torchvision's operators run on the GPU without a toolkit." ;;
    esac
    install_mmcv
fi

step 'mmcv, mmdetection, mmpretrain and mmscale'
pip_install --no-compile "${PACKAGES[@]}" || failed "$NETWORK"
one_opencv
# An mmcv that is installed already, or in pip's cache, may be compiled for another torch, or not at
# all where it should be.
check || {
    install_mmcv --no-cache-dir --no-binary "$MMCV" --no-deps --force-reinstall
    check
} || failed "Remove $VENV."
echo "      $(sed -n '1s/^# //p' "$VENV/ready")"
echo "      done in $((SECONDS / 60)) minutes $((SECONDS % 60)) seconds"
