"""Stage ``reference``: posteriors that are known by Monte Carlo, by one MPI job."""

from fluxbench.bench.run import Run
from fluxbench.bench.stages import say
from fluxbench.bench.stages.mpi import mpi_job


def act(run: Run) -> None:
    """Sample the reference posteriors of every problem and noise level that has some.

    Raises:
        InputError: if the job fails.
    """
    todo = 0
    for problem, noise in run.referenced:
        path = run.reference_path(problem, noise)
        if path.exists():
            run.reference(problem, noise)  # it is whole
            say(f"reference {path.stem}: there already -> {path}")
        else:
            todo += 1
    if todo == 0:
        return
    program = ["-m", "fluxbench.bench.references.generate", "--configuration", run.config.model_dump_json()]
    mpi_job("reference", program, run.config.ranks, "its blocks are kept")
