# What every job does first, and how it ends before its time is up. Sourced by the *.sbatch files.
# shellcheck shell=bash
set -euo pipefail

say() {
  echo "fluxbench[${SLURM_JOB_ID:-no job}]: $*"
}

fail() {
  say "$*" >&2
  say "the jobs after this one are cancelled; once it is put right: ${FLUXBENCH_AGAIN:-slurm/submit.sh}" >&2
  exit 1
}

cd "${SLURM_SUBMIT_DIR:?submit it with slurm/submit.sh, or with sbatch from the checkout}"
# shellcheck source=slurm/site.env.example
source "${FLUXBENCH_SITE:-slurm/site.env}"
export FLUXBENCH_PYTHON=${FLUXBENCH_PYTHON:?set it in slurm/site.env}
# shellcheck disable=SC2034 # used by those that source this
fluxbench=("$FLUXBENCH_PYTHON" -m bench.cli)
: "${SLURM_JOB_ID:?submit it with sbatch}"
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun takes no more than that from sbatch's options
if [[ -n ${FLUXBENCH_SCRATCH:-} ]]; then
  export FLUXBENCH_SCRATCH=$FLUXBENCH_SCRATCH/fluxbench-$SLURM_JOB_ID
fi
if ((${SLURM_RESTART_COUNT:-0} > 0)); then
  say "start number $((SLURM_RESTART_COUNT + 1)): what is finished is kept"
fi

# Do the job's work, a command, until it ends or the signal comes that announces the time limit.
attempt() {
  local status=0
  trap requeue USR1
  "$@" &
  work=$!
  wait "$work" || status=$?
  trap '' USR1
  ((status == 0)) || fail "the stage ended with status $status, see above"
}

end_work() {
  kill -TERM "$work"
}

# Finished pieces are on disk, those in hand are a matter of seconds, so the work simply ends here and goes on later.
requeue() {
  trap '' USR1
  say "the time limit is near: the job ends here and goes back into the queue"
  end_work 2>/dev/null || true
  wait "$work" || true
  if ((${SLURM_RESTART_COUNT:-0} >= ${FLUXBENCH_REQUEUES:?set it in slurm/site.env})); then
    fail "not finished after ${FLUXBENCH_REQUEUES} requeues: ask for more time or more nodes"
  fi
  # Of an array, SLURM_JOB_ID of the last task names all of them.
  scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"
  exit 0
}
