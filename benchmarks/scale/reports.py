"""Many trials at a time that report once a second each: how late their reports are.

    python -m benchmarks.scale.reports [--trials 256] [--epochs 60]

A report is as late as the time from the end of the worker's epoch to the end of all that the driver's loop does with
it. Only what was sent while all trials ran is counted.
"""

import sys
from typing import Annotated as A

import typer

from benchmarks.side import measured, write_table

SIDES = ("raw", "ours")


def main(
    trials: A[int, typer.Option(help="At a time.")] = 256,
    epochs: A[int, typer.Option(help="Of a second, once all train.")] = 60,
) -> None:
    """Run the sides in turn."""
    head = ["side", "reports", "late: median s", "99 %", "the latest", "idle between epochs: median s", "the longest",
            "driver MB"]  # fmt: skip
    rows = [head]
    for side in SIDES:
        found = measured([sys.executable, "-m", "benchmarks.scale.reporting", side, str(trials), str(epochs)])
        late, idle = sorted(found["late"]), sorted(found["idle"])
        rows.append(
            [side, f"{len(late):,}", *(f"{late[int(share * (len(late) - 1))]:.2f}" for share in (0.5, 0.99, 1)),
             *(f"{idle[int(share * (len(idle) - 1))]:.2f}" for share in (0.5, 1)), f"{found['memory']:.0f}"]
        )  # fmt: skip
        print(rows[-1], flush=True)
    write_table("reports", f"{trials} trials at a time that report once a second each.", rows)


if __name__ == "__main__":
    typer.run(main)
