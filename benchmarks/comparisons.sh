#!/bin/sh
# The comparisons of losses and of miners: six loss families and the five miners of the triplet
# loss, at equal budget, the best of each confirmed over five seeds.
#
#   benchmarks/comparisons.sh omniglot IMAGES_BACKGROUND.zip [BUDGET] [TRIALS]
#   WEIGHTS=/path/to/tf_efficientnet_lite0.pt benchmarks/comparisons.sh caltech60 ZIP [BUDGET] [TRIALS]
#
# BUDGET is the device-time of each family's search (6m: about 3 minutes on two cores), TRIALS its
# number of trials (10). STEPS, SEEDS, EPISODES and RUNS change what their names say. Run again, it
# goes on where it was stopped. The tables are RUNS/NAME/compare.md.
set -eu
which=$1
data=$2
budget=${3:-6m}
trials=${4:-10}

case $which in
omniglot)
    space=omniglot
    set -- --set data.image_size=28 --set "budget.steps=${STEPS:-400}" \
        --set budget.report_every=100
    ;;
caltech60)
    space=$(dirname "$0")/caltech60.yaml
    set -- --set "budget.steps=${STEPS:-300}" --set "encoder.weights=${WEIGHTS:-none}"
    ;;
*)
    echo "the first argument must be omniglot or caltech60, got $which" >&2
    exit 2
    ;;
esac

for per in loss miner; do
    tripletune compare "$space" --data "$data" --per "$per" --name "$which-$per" \
        --runs "${RUNS:-runs}" --trials "$trials" --budget "$budget" \
        --seeds "${SEEDS:-5}" --episodes "${EPISODES:-10000}" "$@"
    set -- "$@" --set objective=triplet # the miners are those of one loss
done
