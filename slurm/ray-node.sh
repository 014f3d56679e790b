#!/usr/bin/env bash
# Ray on one node of a job, started by srun:   ray-node.sh explicit|symmetric HOST:PORT [command, if symmetric]
# Ends, with what it has started, when it is told to (SIGTERM).
set -euo pipefail
mode=$1 address=$2
shift 2
ip=${address%:*} port=${address#*:}
is_head=$((SLURM_NODEID == 0))
started=
folder=/tmp/fluxbench-ray-$SLURM_JOB_ID-$SLURM_NODEID # short, for the sake of sockets' paths

# shellcheck disable=SC2317 # a trap calls it
clean_up() {
  trap '' TERM
  if [[ -n $started ]]; then
    kill -TERM "$started" 2>/dev/null || true
    wait "$started" || true
  fi
  rm -rf "$folder" ${FLUXBENCH_SCRATCH:+"$FLUXBENCH_SCRATCH"}
}
trap 'exit 143' TERM INT
trap clean_up EXIT
if ((is_head)); then
  echo "$SLURM_STEP_ID" >"$FLUXBENCH_STEP" # for the job's script, which runs on the same node
fi

# Ray's processes are no MPI program, but importing mpi4py in one that looks like it is would fail.
mapfile -t mpi < <(compgen -e | grep -E '^(PMI|HYDRA|HYDI|MPI_LOCAL|MPIR|OMPI_)' || true)
unset "${mpi[@]}"
export RAY_worker_niceness=0                    # the job has the cores for itself
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # when Ray is told to end, the stage is done, or given up

options=(--log-color=false "--num-cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}"
  "--num-gpus=${SLURM_GPUS_ON_NODE:-0}" --object-store-memory=268435456 # what the job was given, not what is there
  --min-worker-port=0 --max-worker-port=0 --disable-usage-stats "--dashboard-agent-listen-port=$((port + 3))")
head_options=(--dashboard-host=127.0.0.1 "--dashboard-port=$((port + 1))" "--ray-client-server-port=$((port + 2))")

if [[ $mode == symmetric ]]; then
  # In Ray's usual folder, or it would not find the cluster that it has started.
  # shellcheck disable=SC2016 # the inner shell expands it
  ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" "${options[@]}" "${head_options[@]}" \
    -- bash -c '"$@" & echo $! >"$FLUXBENCH_STEP.stage" && wait $! && touch "$FLUXBENCH_DONE"' - "$@" &
elif ((is_head)); then
  ray start --head --block "--temp-dir=$folder" "--node-ip-address=$ip" "--port=$port" "${options[@]}" \
    "${head_options[@]}" >/dev/null &
else
  for ((waited = 0; waited < FLUXBENCH_RAY_TIMEOUT; waited++)); do
    (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null && break
    sleep 1
  done
  ray start --block "--temp-dir=$folder" "--address=$address" "${options[@]}" >/dev/null &
fi
started=$!
status=0
wait "$started" || status=$?
# Without its head there is no cluster, which the other nodes would take half a minute to notice. Told to end, rather
# than killed, they clear up after themselves.
if ((is_head)); then
  trap '' TERM
  scancel --signal=TERM "$SLURM_JOB_ID.$SLURM_STEP_ID"
fi
exit "$status"
