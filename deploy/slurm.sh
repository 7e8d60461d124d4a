#!/bin/bash
# A search on the machines that Slurm gives: Ray's head and the driver on the first one, a worker on each of the others.
#   sbatch --nodes=4 deploy/slurm.sh --data /shared/photos --storage /shared/runs --name pets
# What follows the script's name are options of scripts/search.py. Submit it from Thaw's folder, which all machines see.
# Slurm sends a SIGTERM before it ends the job: the search stops as by Ctrl+C, and --resume goes on with it.
#SBATCH --job-name=thaw
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
RAY=$(dirname "$PYTHON")/ray
mapfile -t machines < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${machines[0]}
# The node's address as the others reach it, not its name: Ray wants a number.
ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))
# A token of this job's own: whoever is on the same network cannot use its cluster.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | base64 | tr -d '/+=')
export RAY_AUTH_TOKEN

cpus=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}
srun --nodes=1 --ntasks=1 --nodelist="$head" \
  "$RAY" start --head --block --node-ip-address="$ip" --port="$port" --num-cpus="$cpus" --num-gpus="$gpus" \
  --include-dashboard=false --disable-usage-stats &
started=($!)
for _ in $(seq 60); do
  "$RAY" health-check --address "$ip:$port" > /dev/null 2>&1 && break
  sleep 1
done
for machine in "${machines[@]:1}"; do
  srun --nodes=1 --ntasks=1 --nodelist="$machine" \
    "$RAY" start --block --address="$ip:$port" --num-cpus="$cpus" --num-gpus="$gpus" --disable-usage-stats &
  started+=($!)
done

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" "$PYTHON" scripts/search.py --address "$ip:$port" "$@" &
search=$!
trap 'kill -TERM "$search"' TERM
status=0
wait "$search" || status=$?
kill -0 "$search" 2> /dev/null && { wait "$search" || status=$?; }  # a signal ends the first wait
kill "${started[@]}" 2> /dev/null || true
exit "$status"
