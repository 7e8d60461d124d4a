"""Spaces that only building can tell."""

import keras
import keras_tuner

from search_spaces.discovery import discovered


class Branching(keras_tuner.HyperModel):
    """Registers what belongs to a branch only when it is taken, as KerasTuner's guide shows."""

    builds = 0

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.builds += 1
        kind = hp.Choice("kind", ["cnn", "mlp", "linear"])
        with hp.conditional_scope("kind", ["cnn"]):
            if kind == "cnn":
                depth = hp.Int("depth", 1, 3)
                with hp.conditional_scope("depth", [2, 3]):
                    if depth > 1:
                        hp.Boolean("skip")
        with hp.conditional_scope("kind", ["mlp"]):
            if kind == "mlp":
                hp.Int("units", 8, 64)
        hp.Float("lr", 1e-4, 1e-1, sampling="log")
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_every_branch_is_built_once() -> None:
    space = Branching()
    names = [hyperparameter.name for hyperparameter in discovered(space)]
    assert sorted(names) == ["depth", "kind", "lr", "skip", "units"]
    assert names.index("kind") < names.index("depth") < names.index("skip")
    assert space.builds == 3


def test_a_branch_that_never_opens_ends_the_looking() -> None:
    class Stubborn(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            hp.Choice("kind", ["a", "b"])
            with hp.conditional_scope("kind", ["c"]):
                hp.Int("never", 0, 1)
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    assert [hyperparameter.name for hyperparameter in discovered(Stubborn())] == ["kind", "never"]
