"""Stage ``solve``: every data set, by MPI jobs."""

import shutil

from fluxbench.bench.run import Run
from fluxbench.bench.stages import say
from fluxbench.bench.stages.mpi import mpi_job


def act(run: Run, part: str | None = None) -> None:
    """Make every data set, each by an MPI job; or part K/N of each, to be joined later.

    Raises:
        InputError: if a job fails, or there is no ``mpiexec`` for more than one rank.
    """
    config = run.config
    for problem in run.problems:
        path, sizes = run.data_path(problem), config.sizes(problem)
        if path.exists():
            run.dataset(problem)  # it is whole
            say(f"solve {problem}: there already -> {path}")
            shutil.rmtree(path.with_name(f"{path.name}.shards"), ignore_errors=True)  # of a job that was killed late
            continue
        program = ["-m", "fluxbench.solvers.data.generate", "--problem", problem, "--out", str(path)]
        program += ["--train", str(sizes.train_samples), "--test", str(sizes.test_samples), "--seed", str(config.seed)]
        program += ["--mesh", config.flux.mesh]
        program += ["--part", part] if part else []
        mpi_job(f"solve {problem}", program, config.ranks, "its shards are kept")
