"""What a study tries before it draws anything: recipes, given configurations, or the space's defaults."""

from collections.abc import Sequence
from typing import TextIO

from search_spaces.configuration import Configuration, complete
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.recipes import named
from tuner.config import StudyConfig, read_configurations


def first_configurations(
    config: StudyConfig, hyperparameters: Sequence[Hyperparameter], terminal: TextIO
) -> list[Configuration]:
    """Recipes first, then the configurations of --configs; the defaults where neither is asked for.

    Under `--recipes all` a recipe that does not fit the task is left out, and `terminal` says why.

    Raises:
        UserError: a named recipe or a given configuration does not fit, or there are more than --trials.
    """
    if not config.recipes and config.configs is None:
        return [complete(hyperparameters, {})]  # as KerasTuner does: the author chose the defaults because they work
    first = _recipes(config, hyperparameters, terminal) + _given(config, hyperparameters)
    if len(first) > config.trials:
        given = " and ".join(
            ["--recipes"] * bool(config.recipes) + [f"--configs {config.configs}"] * bool(config.configs)
        )
        raise UserError(
            f"{given}: {len(first)} configurations, but --trials is {config.trials}: "
            f"they count among the trials, so ask for --trials {len(first)} or more"
        )
    return first


def _recipes(config: StudyConfig, hyperparameters: Sequence[Hyperparameter], terminal: TextIO) -> list[Configuration]:
    found = []
    for recipe in named(config.recipes, config.space):
        try:
            found.append(recipe.complete(hyperparameters))
        except UserError as error:
            if recipe.name in config.recipes:
                raise UserError(f"--recipes: {error}") from error
            print(f"Left out: {error}", file=terminal, flush=True)
    if config.recipes and not found:
        raise UserError(f"--recipes {','.join(config.recipes)}: none of them fits here; leave the option out")
    return found


def _given(config: StudyConfig, hyperparameters: Sequence[Hyperparameter]) -> list[Configuration]:
    if config.configs is None:
        return []
    given = []
    for number, partial in enumerate(read_configurations(config.configs), start=1):
        try:
            given.append(complete(hyperparameters, partial))
        except UserError as error:
            raise UserError(f"--configs {config.configs}, configuration {number}: {error}") from error
    return given
