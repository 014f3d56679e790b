# What every job does first, and how it ends before its time is up. Sourced by the *.sbatch files.
# shellcheck shell=bash
set -euo pipefail

say() {
  echo "fluxbench[${SLURM_JOB_ID:-no job}]: $*"
}

fail() {
  say "$*" >&2
  exit 1
}

# However a job fails, its log ends with what to do.
at_exit() {
  local status=$?
  trap '' TERM
  if [[ -n $work ]] && kill -TERM "$work" 2>/dev/null; then
    wait "$work" || true
  fi
  clean_up || true
  if ((status != 0)); then
    say "failed, and the jobs after it are cancelled; once it is put right: ${FLUXBENCH_AGAIN:-slurm/submit.sh}" >&2
  fi
  exit "$status"
}
trap at_exit EXIT
trap 'exit 143' TERM # scancel: nothing of the job outlives its script

clean_up() {
  : # a job that leaves something behind has its own
}

work= # the process that does it

# The signal that announces the time limit may come at any time. Told to end, training writes a checkpoint first; what
# else is in hand is begun again.
requeue() {
  trap '' USR1
  say "the time limit is near: the job ends here and goes back into the queue"
  if [[ -n $work ]]; then
    end_work 2>/dev/null || true
    wait "$work" || true
  fi
  if ((${SLURM_RESTART_COUNT:-0} >= FLUXBENCH_REQUEUES)); then
    fail "not finished after $FLUXBENCH_REQUEUES requeues: ask for more time or more nodes"
  fi
  trap '' TERM # which Slurm sends to a job that it takes back
  # Of an array, SLURM_JOB_ID of the last task names all of them.
  scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}" ||
    fail "the job cannot be put back into the queue"
  exit 0
}
trap requeue USR1

end_work() {
  kill -TERM "$work"
}

# Do the job's work, a command, until it ends.
attempt() {
  local status=0
  "$@" &
  work=$!
  wait "$work" || status=$?
  trap '' USR1
  ((status == 0)) || fail "the stage ended with status $status, see above"
}

: "${SLURM_JOB_ID:?submit it with slurm/submit.sh, or with sbatch}"
cd "${SLURM_SUBMIT_DIR:?submit it with slurm/submit.sh, or with sbatch from the checkout}"
set +eu # modules and conda are not written for strict shells
# shellcheck source=slurm/site.env.example
source "${FLUXBENCH_SITE:-slurm/site.env}"
set -eu
: "${FLUXBENCH_REQUEUES:?set it in slurm/site.env}"
export FLUXBENCH_PYTHON=${FLUXBENCH_PYTHON:?set it in slurm/site.env}
# shellcheck disable=SC2034 # used by those that source this
fluxbench=("$FLUXBENCH_PYTHON" -m bench.cli)
if [[ -n ${FLUXBENCH_SCRATCH:-} ]]; then
  export FLUXBENCH_SCRATCH=$FLUXBENCH_SCRATCH/fluxbench-$SLURM_JOB_ID
fi
if ((${SLURM_RESTART_COUNT:-0} > 0)); then
  say "start number $((SLURM_RESTART_COUNT + 1)): what is finished is kept"
fi
