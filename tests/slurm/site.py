"""The site that tests describe: two nodes of two cores."""

import sys

WARNING = 30
"""Seconds before its time limit at which a job ends; `ray stop` must fit into them."""
SITE = f"""
FLUXBENCH_PYTHON={sys.executable}
FLUXBENCH_MPIEXEC="srun -K --mpi=pmi2"
FLUXBENCH_SOLVE_JOBS=2
FLUXBENCH_SOLVE=(--nodes=2 --ntasks=2 --time=00:05:00)
FLUXBENCH_REFERENCE=(--nodes=2 --ntasks=2 --time=00:05:00)
FLUXBENCH_TRAIN=(--nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --time=00:10:00)
FLUXBENCH_SAMPLE=(--nodes=1 --cpus-per-task=2 --time=00:05:00)
FLUXBENCH_SCORE=(--cpus-per-task=2 --time=00:05:00)
FLUXBENCH_REPORT=(--cpus-per-task=2 --time=00:05:00)
FLUXBENCH_WARNING={WARNING}
FLUXBENCH_REQUEUES=5
FLUXBENCH_RAY=explicit
FLUXBENCH_RAY_TIMEOUT=120
FLUXBENCH_LOGIN=me@login.example.org
"""
