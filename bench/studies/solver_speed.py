"""How fast data are made, beside the script that one would write first, in one run.

Four tables: samples a second on one core, batched against stock SNES one at a time;
all data sets of the paper from nothing under MPI; one rank against two; and time against the number of samples.
"""

import re
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from fluxbench.bench.asv.solvers import fluxes, stock_script
from fluxbench.bench.stages.mpi import launcher
from fluxbench.bench.studies.verification import FINEST
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import discretisation
from fluxbench.solvers.fem.nonlinear import linearise, newton
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.solvers.problems.nonlinear import NONLINEAR
from fluxbench.storage import Row

TITLE = "Speed of the forward solvers"
ROUNDS = 8
SIZES = {"linear": (9_000, 1_000), "multi-operator": (36_000, 1_000), "nonlinear": (36_000, 4_000)}
"""Training and test samples; the paper's, but for the 1,000 test samples of the multi-operator problem (choice)."""
COUNTS = (4_000, 40_000, 400_000)
BATCHED = 4_000
"""Samples that one batched round solves."""
RATIO, SECONDS, MEGABYTES = 3_000, 120, 1_000
"""Goals: times the stock script's samples/s, seconds for all data sets on two ranks, peak memory a rank."""


def side_by_side(rounds: int) -> list[Row]:
    """Measure samples a second on one core: stock SNES and batched solver in turns, so that both see one machine."""
    began = time.perf_counter()
    fast = linearise(assembly.assemble(NONLINEAR, discretisation(NONLINEAR)))
    ready = time.perf_counter() - began
    script, flux = stock_script(), fluxes(NONLINEAR.name, BATCHED)
    fast.measure(flux)
    one, batch, y = [], [], []
    for q in flux[:rounds]:
        began = time.perf_counter()
        y.append(script.measure(q))
        one.append(time.perf_counter() - began)
        began = time.perf_counter()
        readings = fast.measure(flux)
        batch.append((time.perf_counter() - began) / BATCHED)
    fine = assembly.assemble(NONLINEAR, FINEST)
    exact = np.array([fine.sensing @ newton(fine, q) for q in flux[:rounds]])
    errors = [np.linalg.norm(values - exact) / np.linalg.norm(exact) for values in (np.array(y), readings[:rounds])]
    ratios = [slow / quick for slow, quick in zip(one, batch, strict=True)]
    return [
        {
            "solver": "stock SNES, one at a time, 850 x 200 P1",
            "unknowns": script.unknowns,
            "samples/s": 1.0 / median(one),
            "error at the sensors": errors[0],
        },
        {
            "solver": "batched chord, production mesh",
            "unknowns": len(fast.system.mass),
            "samples/s": 1.0 / median(batch),
            "error at the sensors": errors[1],
            "times stock": median(ratios),
            "range over rounds": f"{min(ratios):,.0f} to {max(ratios):,.0f}",
            "set-up (s)": ready,
        },
    ]


def generated(problem: str, train: int, test: int, ranks: int) -> Row:
    """Measure an MPI job of ``fluxbench.solvers.data.generate`` from start to end, imports and all.

    Args:
        problem: whose data are made.
        train: training samples.
        test: test samples.
        ranks: MPI processes.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{problem}.h5"
        command = [*launcher(ranks), "-m", "fluxbench.solvers.data.generate", "--problem", problem, "--out", str(path)]
        command += ["--train", str(train), "--test", str(test)]
        began = time.perf_counter()
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds = time.perf_counter() - began
        (peak,) = re.findall(r"at most (\d+) MB each", output)
        return {
            "problem": problem,
            "samples": train + test,
            "ranks": ranks,
            "seconds": seconds,
            "ms a sample": 1e3 * seconds / (train + test),
            "peak MB a rank": int(peak),
            "file MB": path.stat().st_size / 1e6,
        }


def measure(options: Options) -> Findings:
    """Measure one core, all data sets, ranks and numbers of samples: four tables, three goals."""
    tables: dict[str, list[Row]] = {}

    def add(title: str, row: Row) -> None:
        tables.setdefault(title, []).append(row)
        print(f"{title}: {line(row)}", flush=True)

    title = "Nonlinear problem on one core, in turns"
    for row in side_by_side(options.rounds):
        add(title, row)
    ratio = tables[title][1]["times stock"]
    everything = "All data sets of the paper, from nothing"
    for problem, sizes in SIZES.items():
        add(everything, generated(problem, *sizes, ranks=2))
    seconds = sum(row["seconds"] for row in tables[everything])
    add(everything, {"problem": "all", "seconds": seconds})
    scaling = "Ranks"
    jobs = [generated(NONLINEAR.name, 90_000, 10_000, ranks) for ranks in (1, 2)]
    for job in jobs:
        add(scaling, job | {"efficiency": jobs[0]["seconds"] / (job["ranks"] * job["seconds"])})
    for problem in (LINEAR.name, NONLINEAR.name):
        for count in COUNTS:
            add("Samples: the cost of each on two ranks", generated(problem, count - count // 10, count // 10, ranks=2))

    peak = max(row["peak MB a rank"] for rows in tables.values() for row in rows if "peak MB a rank" in row)
    goals = [
        goal("batched against stock, samples/s a core", ratio, ratio >= RATIO, f"at least {RATIO:,}"),
        goal("all data sets on two ranks, s", seconds, seconds < SECONDS, f"below {SECONDS}"),
        goal("peak memory, MB a rank", peak, peak < MEGABYTES, f"below {MEGABYTES:,}"),
    ]
    return tables, goals
