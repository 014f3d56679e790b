#!/usr/bin/env bash
# Submit a run as jobs that wait for each other:
#
#   slurm/submit.sh [--profile NAME|FILE.toml] [--set KEY=VALUE]... [--account X ...] [--dry-run]
#
#   --profile, --set   what to run, as of `fluxbench run` (default: the profile quick); a relative root is relative to
#                      the checkout
#   --account, --partition, --qos, --reservation, --constraint NAME
#                      handed to sbatch
#   --dry-run          print the jobs, submit none
#
# solve (an array of MPI jobs) -> consolidate -> reference (MPI) ------------\
#                                             -> train (Ray) -> sample (Ray) -> score -> report -> asv
#
# What this site is like stands in slurm/site.env, or in the file that FLUXBENCH_SITE names. Submitting again is always
# safe: jobs wait for those of the same run that are still there, and what is finished is not made again.
set -euo pipefail

fail() {
  echo "submit.sh: $*" >&2
  exit 2
}

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
profile=quick dry_run='' settings=() options=()
while (($# > 0)); do
  case $1 in
    --profile | --set | --account | --partition | --qos | --reservation | --constraint)
      [[ -n ${2:-} && $2 != --* ]] || fail "$1: expected a value, found ${2:-nothing}"
      ;;&
    --profile) profile=$2 && shift ;;
    --set) settings+=(--set "$2") && shift ;;
    --account | --partition | --qos | --reservation | --constraint) options+=("$1=$2") && shift ;;
    --account=* | --partition=* | --qos=* | --reservation=* | --constraint=*) options+=("$1") ;;
    --dry-run) dry_run=1 ;;
    -h | --help) sed -n '2,/^set/s/^#\( \|$\)//p' "${BASH_SOURCE[0]}" && exit ;;
    *) fail "expected one of the options that --help shows, found $1" ;;
  esac
  shift
done
[[ $profile != *.toml ]] || profile=$(realpath -m "$profile")
FLUXBENCH_SITE=$(realpath -m "${FLUXBENCH_SITE:-$home/slurm/site.env}")
again=("$home/slurm/submit.sh" --profile "$profile" "${settings[@]}" "${options[@]}")
[[ $FLUXBENCH_SITE == "$home/slurm/site.env" ]] || again=("FLUXBENCH_SITE=$FLUXBENCH_SITE" "${again[@]}")
FLUXBENCH_AGAIN=$(printf '%q ' "${again[@]}")
export FLUXBENCH_AGAIN FLUXBENCH_SITE
cd "$home"

example="slurm/site.env.example"
[[ -f $FLUXBENCH_SITE ]] || fail "$FLUXBENCH_SITE: not found; copy $example and say what this site is like"
bash -n "$FLUXBENCH_SITE" || fail "$FLUXBENCH_SITE: expected settings that bash can read"
set +eu # modules and conda are not written for strict shells
# shellcheck source=slurm/site.env.example
source "$FLUXBENCH_SITE"
set -eu

# expect NAME PATTERN WHAT: of the setting FLUXBENCH_NAME, as `declare -p` shows it
expect() {
  local found
  found=$(declare -p "FLUXBENCH_$1" 2>/dev/null) || fail "$FLUXBENCH_SITE: FLUXBENCH_$1 is not set, see $example"
  [[ $found =~ $2 ]] || fail "$FLUXBENCH_SITE: FLUXBENCH_$1: expected $3, found ${found#*=}"
}
for name in SOLVE REFERENCE TRAIN SAMPLE SCORE REPORT; do
  expect "$name" '^declare -a' "options of sbatch in parentheses"
done
for name in SOLVE_JOBS WARNING RAY_TIMEOUT; do
  expect "$name" '="[1-9][0-9]*"$' "a number above 0"
done
expect REQUEUES '="[0-9]+"$' "a number"
expect RAY '="(explicit|symmetric)"$' "explicit or symmetric"
for name in PYTHON MPIEXEC LOGIN; do
  expect "$name" '=".+"$' "a value"
done
"$FLUXBENCH_PYTHON" -P -c 'import fluxbench.bench' 2>/dev/null ||
  fail "FLUXBENCH_PYTHON=$FLUXBENCH_PYTHON: expected a Python with fluxbench; ./run --help makes .venv/bin/python one"
if declare -p FLUXBENCH_ASV &>/dev/null; then
  expect ASV '^declare -a' "options of sbatch in parentheses"
  "$FLUXBENCH_PYTHON" -P -c 'import asv' 2>/dev/null ||
    fail "FLUXBENCH_ASV: expected a Python with asv, of the extra dev, found $FLUXBENCH_PYTHON"
fi
[[ -n $dry_run ]] || command -v sbatch >/dev/null || fail "sbatch: not found; on a machine without Slurm: ./run"

# A line a stage; it refuses a configuration that is wrong, before anything is submitted.
status=$("$FLUXBENCH_PYTHON" -P -m fluxbench.bench.cli status --profile "$profile" "${settings[@]}") || exit 2
of_run() {
  awk -v key="$1" '$1 == key { sub(/^[^ ]+ +/, ""); print }' <<<"$status"
}
run=$(of_run run)
logs=$(of_run folder)/logs
submitted=$(mktemp) # the jobs' numbers, since job() runs in subshells
trap 'rm "$submitted"' EXIT
exec 3>&1

# job NAME FILES "IDs that it waits for" SCRIPT STAGE [options of sbatch]: its id
#
# Of jobs that write the same FILES one runs at a time, also of several submissions: they share a name, and singleton.
job() {
  local name=$1 files=$2 after=$3 script=$4 stage=$5 log=%j id
  shift 5
  [[ $* == *--array* ]] && log=%A-%a
  local command=(sbatch --parsable "--job-name=fluxbench-$run-$files" "--output=$logs/$name-$log.log" --open-mode=append
    --export=ALL --requeue "--signal=B:USR1@$FLUXBENCH_WARNING" --kill-on-invalid-dep=yes
    "--dependency=singleton${after:+,afterok:$after}" "${options[@]}" "$@" "slurm/$script")
  [[ $stage == - ]] || command+=("$stage" --profile "$profile" "${settings[@]}")
  if [[ -n $dry_run ]]; then
    printf '%q ' "${command[@]}" >&3
    echo >&3
    echo "<$name>"
  elif id=$("${command[@]}"); then
    echo "$name: job ${id%%;*}" >&3
    echo "${id%%;*}" | tee -a "$submitted"
  elif [[ -s $submitted ]]; then
    fail "sbatch refused the job $name, see above; to take back those before it: scancel $(paste -sd ' ' "$submitted")"
  else
    fail "sbatch refused the job $name, see above"
  fi
}

# A submission from within a job must not hand that job's settings on.
for name in $(compgen -e | grep -E '^(SLURM_|SRUN_|PMI)' || true); do
  [[ $name == SLURM_CONF ]] || unset "$name"
done

[[ -n $dry_run ]] || mkdir -p "$logs" || fail "$logs: cannot be made"
solve=$(job solve data "" mpi.sbatch solve "--array=1-$FLUXBENCH_SOLVE_JOBS" "${FLUXBENCH_SOLVE[@]}")
consolidate=$(job consolidate data "$solve" mpi.sbatch solve "${FLUXBENCH_SOLVE[@]}" --nodes=1 --ntasks=1)
train=$(job train networks "$consolidate" ray.sbatch train "${FLUXBENCH_TRAIN[@]}")
before_score=$(job sample samples "$train" ray.sbatch sample "${FLUXBENCH_SAMPLE[@]}")
if [[ $(of_run reference) != "0 of 0 "* ]]; then
  before_score+=:$(job reference references "$consolidate" mpi.sbatch reference "${FLUXBENCH_REFERENCE[@]}")
fi
score=$(job score scores "$before_score" node.sbatch score "${FLUXBENCH_SCORE[@]}")
report=$(job report scores "$score" node.sbatch report "${FLUXBENCH_REPORT[@]}")
if declare -p FLUXBENCH_ASV &>/dev/null; then
  job asv asv "$report" asv.sbatch - "${FLUXBENCH_ASV[@]}" >/dev/null
fi
[[ -z $dry_run ]] || exit 0
echo "logs: $logs; the report will be $(of_run results)/report.md"
again=(status --profile "$profile" "${settings[@]}")
echo "how it stands: squeue --me, and here$(printf ' %q' "$FLUXBENCH_PYTHON" -P -m fluxbench.bench.cli "${again[@]}")"
