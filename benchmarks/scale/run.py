"""What the driver costs: trials that train nothing, ours against raw Ray Tune, in turn.

    python -m benchmarks.scale.run [--sizes 100,1000,10000] [--rounds 1] [--slots 2]

`raw-quiet` is raw Ray Tune without its own files for each trial, which are on by default.
"""

import statistics
import sys
from typing import Annotated as A

import typer

from benchmarks.side import measured, several, write_table

SIDES = ("raw", "raw-quiet", "ours")


def main(
    sizes: A[str, typer.Option(help="Numbers of trials.")] = "100,1000,10000",
    rounds: A[int, typer.Option(help="Of each.")] = 1,
    slots: A[int, typer.Option(help="Trials at a time.")] = 2,
) -> None:
    """Run the sides in turn."""
    rows = [["trials", *(f"{side}: s" for side in SIDES), "ours / raw", "ours / raw-quiet", "ours: trials/s",
             *(f"{side}: driver MB" for side in SIDES), "ours: ms a proposal"]]  # fmt: skip
    for size in map(int, sizes.split(",")):
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                command = [sys.executable, "-m", "benchmarks.scale.side", side, str(size), str(slots)]
                found[side].append(measured(command))
                print(size, side, found[side][-1], flush=True)
        seconds = {side: [one["seconds"] for one in found[side]] for side in SIDES}
        pace = size / statistics.median(seconds["ours"])
        ratios = {
            raw: [own / other for own, other in zip(seconds["ours"], seconds[raw], strict=True)] for raw in SIDES[:2]
        }
        rows.append(
            [f"{size:,}", *(several(seconds[side], 1) for side in SIDES),
             *(several(ratios[raw], 2) for raw in SIDES[:2]), f"{pace:.1f}",
             *(several([one["memory"] for one in found[side]]) for side in SIDES),
             several([one["proposal_ms"] for one in found["ours"]], 1)]
        )  # fmt: skip
    title = f"Trials of 4 reports that train nothing, {slots} at a time, all in one search."
    write_table("scale", title, rows)


if __name__ == "__main__":
    typer.run(main)
