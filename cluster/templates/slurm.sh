#!/bin/bash
# A search on an allocation of SLURM: Ray on all of its nodes, for as long as the search takes.
# Written by `tripletune manifests slurm` (tripletune ${version}, Ray ${ray_version}).
#
#   sbatch this-file.sh
#
# A job that is pre-empted, or whose time is up, is queued again and goes on with the study.
#SBATCH --job-name=${name}
#SBATCH --nodes=${workers}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=${cpus}
${gpus_line}#SBATCH --mem=${memory_gb}G
#SBATCH --time=${time_limit}
${partition_line}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
# Two minutes before the end the search is told, writes what it has and is queued again.
#SBATCH --signal=B:TERM@120

set -euo pipefail
umask 077

# Where Python with this package is, on a disk that all nodes see. Change it to yours.
# shellcheck source=/dev/null
source "$${TRIPLETUNE_VENV:-$$HOME/venv}/bin/activate"

study=${name}-$$SLURM_JOB_ID
storage='${storage}'

# A token of this job's own, in a file: what stands in an environment or a command can be listed.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$$HOME/.ray/tripletune-$$SLURM_JOB_ID.token"
mkdir -p "$$HOME/.ray"
if [ ! -s "$$RAY_AUTH_TOKEN_PATH" ]; then
    python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$$RAY_AUTH_TOKEN_PATH"
fi
export RAY_USAGE_STATS_ENABLED=0
# Sockets below it have paths of at most 107 bytes.
export RAY_TMPDIR="/tmp/ray-$$SLURM_JOB_ID"

# The first node is the head and runs the search; a port of this job's own, as nodes may be shared.
head=$$(scontrol show hostnames "$$SLURM_JOB_NODELIST" | head -n 1)
port=$$((20000 + SLURM_JOB_ID % 20000))

# shellcheck disable=SC2016 # the first node fills it in
search='if [ "$$SLURM_RESTART_COUNT" -gt 0 ]; then
    exec tripletune resume "$$study" --storage "$$storage" --address "$$head:$$port"
fi
exec tripletune search ${space} --name "$$study" --trials ${trials} \
    --storage "$$storage" --address "$$head:$$port"'
export study storage head port
export SLURM_RESTART_COUNT="$${SLURM_RESTART_COUNT:-0}"

requeue() {
    echo "the allocation ends: the search is stopped and queued again"
    kill -TERM "$$running" 2>/dev/null || true
    wait "$$running" || true
    scontrol requeue "$$SLURM_JOB_ID"
    exit 0
}
trap requeue TERM

# Starts Ray on every node, waits for all of them, runs the command on the first and stops Ray.
srun --kill-on-bad-exit=0 ray symmetric-run \
    --address "$$head:$$port" \
    --min-nodes "$$SLURM_JOB_NUM_NODES" \
    -- bash -c "$$search" &
running=$$!
wait "$$running"
rm -f "$$RAY_AUTH_TOKEN_PATH"
