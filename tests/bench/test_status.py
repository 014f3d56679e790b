"""What is there of a run, by its files."""

from pathlib import Path

from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.bench.status import describe


def test_a_run_is_counted_by_its_files(tmp_path: Path) -> None:
    run = Run(load("quick", [f"root={tmp_path}"]))
    lines = dict(line.split(maxsplit=1) for line in describe(run).splitlines())
    assert lines["run"] == "quick"
    assert lines["folder"] == str(tmp_path / "runs" / "quick")
    assert lines["solve"] == "0 of 4 data sets there, 340,000 samples to go"
    assert lines["reference"] == "0 of 2 references there, 200 posteriors to go"
    assert lines["train"] == "0 of 10 networks there, 19,200 steps to go"
    assert (
        lines["sample"]
        == f"0 of 20 sets of samples there, {12 * 4 * 2000 + 8 * 100 * 100:,} samples to go; 4 ladders to go"
    )

    first, second, third, *_ = map(run.checkpoint_path, run.cells)
    first.parent.mkdir(parents=True)
    for path in (first, second):
        path.touch()
    first.with_suffix(".jsonl").write_text('{"step": 500}\n{"step": 2000}\n')
    second.with_suffix(".jsonl").write_text('{"step": 500}\n{"st')
    third.with_suffix(".jsonl").write_text('{"step": 2000}\n')  # its checkpoint is gone
    run.data_path("linear").parent.mkdir()
    run.data_path("linear").touch()
    lines = dict(line.split(maxsplit=1) for line in describe(run).splitlines())
    assert lines["train"] == "1 of 10 networks there, 16,700 steps to go"
    assert lines["solve"] == "1 of 4 data sets there, 330,000 samples to go"
