"""KerasTuner's declared space as Optuna's define-by-run space, conditions included; it names no hyperparameter."""

from collections import Counter
from collections.abc import Iterable
from typing import cast

import optuna
from keras_tuner.engine.hyperparameters import Fixed, HyperParameter, Int

from search_spaces.configuration import Configuration, Value
from search_spaces.hyperparameters import finite_values, is_active


class Suggestions:
    """Draws configurations of one space from Optuna trials.

    A hyperparameter keeps its name in Optuna, unless the space declares the name more than once (under several
    branches): then the branch is added, as in `unfrozen_layers[backbone=vgg16]`, because Optuna knows one range a name.
    """

    def __init__(self, space: Iterable[HyperParameter]) -> None:
        self._space = list(space)
        self._names = _unique_names(self._space)

    def suggest(self, trial: optuna.Trial) -> Configuration:
        """The next configuration: a value for each hyperparameter that is active under those before it."""
        values: Configuration = {}
        for hyperparameter, name in zip(self._space, self._names, strict=True):
            if is_active(hyperparameter, values):
                values[hyperparameter.name] = _suggest(trial, name, hyperparameter)
        return values

    def parameters(self, configuration: Configuration) -> dict[str, Value]:
        """A whole configuration as Optuna's parameters, for `study.enqueue_trial`."""
        return {
            name: _mirrored(hyperparameter, configuration[hyperparameter.name])
            for hyperparameter, name in zip(self._space, self._names, strict=True)
            if is_active(hyperparameter, configuration) and not isinstance(hyperparameter, Fixed)
        }


def _suggest(trial: optuna.Trial, name: str, hyperparameter: HyperParameter) -> Value:
    if isinstance(hyperparameter, Fixed):
        return hyperparameter.value
    values = finite_values(hyperparameter)
    if values is not None:
        return cast(Value, trial.suggest_categorical(name, values))
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    log = hyperparameter.sampling != "linear"
    if step is not None:  # Optuna wants a range that the step divides
        high = round(low + int((high - low) / step + 1e-9) * step, 10)
    if isinstance(hyperparameter, Int):
        return _mirrored(hyperparameter, trial.suggest_int(name, low, high, step=step or 1, log=log))
    value = trial.suggest_float(name, low, high, step=step, log=log)
    return _mirrored(hyperparameter, value if step is None else round(value, 10))


def _mirrored(hyperparameter: HyperParameter, value: Value) -> Value:
    """KerasTuner's "reverse_log" is dense at the upper end: Optuna draws its mirror image. Its own inverse."""
    if getattr(hyperparameter, "sampling", None) != "reverse_log" or finite_values(hyperparameter) is not None:
        return value
    return hyperparameter.min_value + hyperparameter.max_value - value


def _unique_names(space: list[HyperParameter]) -> list[str]:
    counts = Counter(hyperparameter.name for hyperparameter in space)
    names: list[str] = []
    for hyperparameter in space:
        name = hyperparameter.name
        if counts[name] > 1:
            # A condition that lists a whole range says nothing to a reader; what it leaves equal is numbered.
            short = [
                f"{c.name}={'|'.join(map(str, c.values))}" for c in hyperparameter.conditions if len(c.values) <= 3
            ]
            name = f"{name}[{','.join(short)}]"
            same = sum(1 for other in names if other == name or other.startswith(f"{name}#"))
            name = f"{name}#{same + 1}" if same else name
        names.append(name)
    return names
