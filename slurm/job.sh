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
  local again=${FLUXBENCH_AGAIN:-slurm/submit.sh}
  if ((status == TAKEN)); then
    say "ended by Slurm; unless \`squeue --me\` shows that it waits again: $again" >&2
  elif ((status != 0)); then
    say "failed, and the jobs after it are cancelled; once it is put right: $again" >&2
  fi
  exit "$status"
}
trap at_exit EXIT
TAKEN=143
trap 'exit $TAKEN' TERM # scancel, or a node was lost: nothing of the job outlives its script

clean_up() {
  : # a job that leaves something behind has its own
}

work=   # the process that does it
needed= # another one, without which it cannot go on

# requeue WHY. The signal that announces the time limit may come at any time. Told to end, training writes a checkpoint
# first; what else is in hand is begun again.
requeue() {
  trap '' USR1
  say "$1: the job ends here and goes back into the queue"
  if [[ -n $work ]]; then
    end_work 2>/dev/null || true
    # What hangs must not keep the job from going back in time.
    (sleep $((FLUXBENCH_WARNING * 3 / 4)) && kill -KILL "$work") &>/dev/null &
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
trap 'requeue "the time limit is near"' USR1

end_work() {
  kill -TERM "$work"
}

# Do the job's work, a command, until it ends.
attempt() {
  local status=0
  "$@" &
  work=$!
  wait -n "$work" ${needed:+"$needed"} || true
  if [[ -n $needed ]] && ! kill -0 "$needed" 2>/dev/null; then
    kill -KILL "$work" 2>/dev/null || true
  fi
  wait "$work" || status=$?
  # Where a site grants jobs that it preempts a while, Slurm tells their steps to end, and their scripts nothing.
  if ((status != 0)) && scontrol show job "$SLURM_JOB_ID" | grep -q ' PreemptTime=[0-9]'; then
    requeue "preempted"
  fi
  trap '' USR1
  ((status == 0)) || fail "the stage ended with status $status, see above"
}

: "${SLURM_JOB_ID:?submit it with slurm/submit.sh, or with sbatch}"
cd "${SLURM_SUBMIT_DIR:?submit it with slurm/submit.sh, or with sbatch from the checkout}"
set +eu # modules and conda are not written for strict shells
# shellcheck source=slurm/site.env.example
source "${FLUXBENCH_SITE:-slurm/site.env}"
set -eu
: "${FLUXBENCH_REQUEUES:?set it in slurm/site.env}" "${FLUXBENCH_WARNING:?set it in slurm/site.env}"
export FLUXBENCH_PYTHON=${FLUXBENCH_PYTHON:?set it in slurm/site.env}
# What is left of a job on a node that Slurm has lost, or that was cancelled just now, may hold its files for a while.
export FLUXBENCH_WAIT=1
# shellcheck disable=SC2034 # used by those that source this
fluxbench=("$FLUXBENCH_PYTHON" -P -m fluxbench.bench.cli)
if [[ -n ${FLUXBENCH_SCRATCH:-} ]]; then
  export FLUXBENCH_SCRATCH=$FLUXBENCH_SCRATCH/fluxbench-$SLURM_JOB_ID
fi
if ((${SLURM_RESTART_COUNT:-0} > 0)); then
  say "start number $((SLURM_RESTART_COUNT + 1)): what is finished is kept"
fi
