"""What a study's models may cost where they are used."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.trial.errors import Infeasible


@dataclass(frozen=True)
class Limits:
    """The most of each measure that a model may have (see `Footprints`); None: no limit."""

    parameters: int | None = None
    latency: float | None = None
    """Milliseconds."""

    def check(self, measured: Mapping[str, float]) -> None:
        """Compare what is known of a model.

        Raises:
            Infeasible: a measure is beyond its limit.
        """
        for name, limit, unit in (("parameters", self.parameters, ""), ("latency", self.latency, " ms")):
            if limit is not None and measured.get(name, 0) > limit:
                raise Infeasible(f"more than --max-{name} {limit:,}{unit}", measured[name], dict(measured))
