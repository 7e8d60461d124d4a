"""What a study's models may cost where they are used."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.trial.errors import Infeasible

UNITS = {"parameters": "", "latency": " ms"}


@dataclass(frozen=True)
class Limits:
    """The most of each measure that a model may have (see `Footprints`); None: no limit."""

    parameters: int | None = None
    latency: float | None = None
    """Milliseconds."""

    def given(self) -> dict[str, float]:
        """The limits that there are, by measure."""
        limits = {"parameters": self.parameters, "latency": self.latency}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def check(self, measured: Mapping[str, float]) -> None:
        """Compare what is known of a model.

        Raises:
            Infeasible: a measure is beyond its limit.
        """
        for name, limit in self.given().items():
            if measured.get(name, 0) > limit:
                raise Infeasible(f"more than --max-{name} {limit:,}{UNITS[name]}", measured[name], dict(measured))
