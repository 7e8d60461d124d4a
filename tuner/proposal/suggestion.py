"""A declared space as Optuna's define-by-run space, conditions included; it names no hyperparameter."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, TrialState, create_trial

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range, Value


class Suggestions:
    """Draws configurations of one space from Optuna trials.

    A hyperparameter keeps its name in Optuna, unless the space declares the name more than once (under several
    branches): then the branch is added, as in `unfrozen_layers[backbone=vgg16]`, because Optuna knows one range a name.
    """

    def __init__(self, space: Sequence[Hyperparameter]) -> None:
        self._space = dict(zip(_unique_names(space), space, strict=True))

    def of(self, trial: BaseTrial) -> Configuration:
        """The configuration that a trial of a study has."""
        return self.suggest(_fixed(trial.params, trial.user_attrs))

    def suggest(self, trial: BaseTrial) -> Configuration:
        """The next configuration: a value for each hyperparameter that is active under those before it."""
        values: Configuration = {}
        for name, hyperparameter in self._space.items():
            if not hyperparameter.is_active(values):
                continue
            if hyperparameter.drawn:
                values[hyperparameter.name] = _suggest(trial, name, hyperparameter.allowed)
            else:
                values[hyperparameter.name] = trial.user_attrs.get(name, hyperparameter.default)
        return values

    def trial(self, configuration: Configuration) -> FrozenTrial:
        """What Optuna holds of a configuration that runs; what is not drawn as user attributes."""
        parameters, attributes = self._split(configuration)
        fixed = _fixed(parameters, attributes)
        self.suggest(fixed)
        return create_trial(
            state=TrialState.RUNNING,
            params=fixed.params,
            distributions=fixed.distributions,
            user_attrs=attributes,
        )

    def _split(self, configuration: Configuration) -> tuple[dict[str, Any], dict[str, Any]]:
        """Its parameters as Optuna's, and the other values that are not the default."""
        parameters, attributes = {}, {}
        for name, hyperparameter in self._space.items():
            if not hyperparameter.is_active(configuration):
                continue
            value = configuration[hyperparameter.name]
            if hyperparameter.drawn:
                parameters[name] = _mirrored(hyperparameter.allowed, value)
            elif value != hyperparameter.default:
                attributes[name] = value
        return parameters, attributes


def _fixed(parameters: Mapping[str, Any], attributes: Mapping[str, Any]) -> FixedTrial:
    trial = FixedTrial(dict(parameters))
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    return trial


def _suggest(trial: BaseTrial, name: str, allowed: Choices | Range) -> Value:
    if isinstance(allowed, Choices):
        return cast(Value, trial.suggest_categorical(name, allowed.values))
    low, high, step, log = allowed.low, allowed.high, allowed.step, allowed.scale != "linear"
    if step is not None:  # Optuna wants a range that the step divides
        high = round(low + int((high - low) / step + 1e-9) * step, 10)
    if allowed.whole:
        return _mirrored(allowed, trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=log))
    value = trial.suggest_float(name, low, high, step=step, log=log)
    return _mirrored(allowed, value if step is None else min(round(value, 10), allowed.high))


def _mirrored(allowed: Choices | Range, value: Value) -> Value:
    """KerasTuner's "reverse_log" is dense at the upper end: Optuna draws its mirror image. Its own inverse."""
    if isinstance(allowed, Range) and allowed.scale == "reverse_log" and not isinstance(value, str):
        mirror = min(max(allowed.low + allowed.high - value, allowed.low), allowed.high)  # it may be an ulp outside
        return int(mirror) if allowed.whole else mirror
    return value


def _unique_names(space: Sequence[Hyperparameter]) -> list[str]:
    counts = Counter(hyperparameter.name for hyperparameter in space)
    names: list[str] = []
    for hyperparameter in space:
        name = hyperparameter.name
        if counts[name] > 1:
            # A condition that lists a whole range says nothing to a reader; what it leaves equal is numbered.
            short = [
                f"{condition.name}={'|'.join(map(str, condition.values))}"
                for condition in hyperparameter.conditions
                if len(condition.values) <= 3
            ]
            name = f"{name}[{','.join(short)}]" if short else name
            same = sum(1 for other in names if other == name or other.startswith(f"{name}#"))
            name = f"{name}#{same + 1}" if same else name
        names.append(name)
    return names
