#!/bin/sh
# The main job end to end on two real cases; every line that starts with $ is a command to try.
# Usage: demo/run.sh [OUTPUT FOLDER]; SPARSESIM names the command (default: sparsesim on PATH).
set -eu
out=${1:-demo-out}
sparsesim=${SPARSESIM:-sparsesim}
here=$(dirname "$0")

show() {
    printf '\n\033[1m$ sparsesim %s\033[0m\n' "$*" >&2
    "$sparsesim" "$@"
}

rm -rf "$out"
mkdir -p "$out"

# 1. Workloads: a CNN trained here with 2:8 sparsity on the digits of scikit-learn, and ResNet-18.
show extract digits_cnn --prune none -o "$out/digits-dense.trace"
show extract digits_cnn --prune nm:2:8 --method bdwp -o "$out/digits-bdwp.trace"
show extract resnet18 --prune none --batch 32 -o "$out/resnet18-dense.trace"
show extract resnet18 --prune nm:2:8 --method bdwp --phase training --batch 32 --seed 0 \
    -o "$out/resnet18-bdwp.trace"
show inspect "$out/digits-bdwp.trace"

# 2. Simulate; values are checked against NumPy on the small network.
for network in digits resnet18; do
    for pruning in dense bdwp; do
        check=
        [ "$network" = digits ] && check=--check
        # shellcheck disable=SC2086
        show run "$out/$network-$pruning.trace" --machine sat $check \
            -o "$out/results/$network-$pruning"
    done
done
show compare "$out/results/resnet18-dense" "$out/results/resnet18-bdwp"

# 3. Sweep the architecture.
cp "$here/space.yaml" "$out/space.yaml"
show sweep "$out/space.yaml" -o "$out/sweep"

# 4. Report.
show report "$out/results/digits-dense" "$out/results/digits-bdwp" \
    "$out/results/resnet18-dense" "$out/results/resnet18-bdwp" "$out/sweep" -o "$out/report"

# 5. Hardware: the array as Verilog, and its PE proven equal to the simulator.
show emit sat -o "$out/rtl"
show verify sat --unit uspe --cases 200 --seed 1

"${PYTHON:-python3}" "$here/summary.py" "$out"
