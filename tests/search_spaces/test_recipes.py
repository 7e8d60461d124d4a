"""Known systems, by name."""

import math

import pytest

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.errors import UserError
from search_spaces.finetune import FineTune
from search_spaces.recipes import RECIPES, named
from search_spaces.space import SearchSpace, populated
from search_spaces.task import Task

CIFAR = Task(image_size=32, classes=10, training_images=45_000, max_epochs=10)
BACKBONES = {"resnet50": None, "vgg16": None, "mobilenet_v2": None}


def space_of(name: str, task: Task = CIFAR) -> SearchSpace:
    return CustomCNN(task) if RECIPES[name].space == "custom_cnn" else FineTune(task, BACKBONES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_point_of_its_space(name: str) -> None:
    space = space_of(name)
    configuration = RECIPES[name].complete(declared(space))
    hp = populated(configuration)
    model = space.build(hp)
    assert model.output_shape == (None, 10)
    defaults = complete(declared(space), {})
    assert configuration != defaults
    assert RECIPES[name].document in str(RECIPES[name])


def counts(name: str, stage: int) -> tuple[int, int]:
    """Weights that train in a stage and weights that do not."""
    space = space_of(name)
    hp = populated(RECIPES[name].complete(declared(space)))
    model = space.build(hp)
    space.begin_stage(hp, model, stage)
    return tuple(
        sum(math.prod(weight.shape) for weight in weights)
        for weights in (model.trainable_weights, model.non_trainable_weights)
    )


def weights_of(*shapes: tuple[int, ...]) -> int:
    """Kernel and bias of layers given as (inputs, outputs) with a kernel's area in front if it has one."""
    return sum(area * inputs * outputs + outputs for area, inputs, outputs in shapes)


def test_document_000_has_the_parameters_that_it_states() -> None:
    """2,397,226 in all; blocks 1 and 2 frozen leave 2,330,378 of them to train."""
    convolutions = [896, 9_248, 18_496, 36_928, 73_856, 147_584]
    norms = [4 * filters for filters in (32, 32, 64, 64, 128, 128)]
    assert sum(counts("000-cnn", 0)) == sum(convolutions) + sum(norms) + 2_098_176 + 10_250 == 2_397_226
    assert counts("000-second-stage", 1) == (2_330_378, 66_848)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("002-cnn", weights_of((9, 3, 32), (9, 32, 32), (9, 32, 64), (9, 64, 64), (1, 4096, 512), (1, 512, 10))
         + 4 * (32 + 32 + 64 + 64 + 512)),
        ("003-cnn", weights_of((9, 3, 32), (9, 32, 32), (9, 32, 64), (9, 64, 64), (9, 64, 128), (9, 128, 128),
                               (1, 2048, 256), (1, 256, 128), (1, 128, 10)) + 4 * (2 * (32 + 64 + 128) + 256 + 128)),
        ("004-m1", weights_of((9, 3, 32), (1, 8192, 100), (1, 100, 10))),
        ("004-m2", weights_of((9, 3, 32), (9, 32, 32), (1, 8192, 128), (1, 128, 10))),
        ("004-m4", weights_of((9, 3, 32), (9, 32, 32), (9, 32, 64), (9, 64, 64), (1, 4096, 128), (1, 128, 10))),
        ("004-m6", weights_of((9, 3, 64), (9, 64, 64), (9, 64, 128), (9, 128, 128), (9, 128, 256), (9, 256, 256),
                              (1, 4096, 128), (1, 128, 10)) + 4 * (64 + 128 + 256)),
        ("002-vgg16-frozen", 14_714_688 + weights_of((1, 512, 512), (1, 512, 10)) + 4 * 512),
        ("002-vgg16-stack", 14_714_688 + weights_of((9, 512, 32), (9, 32, 32), (9, 32, 64), (9, 64, 64), (1, 64, 512),
                                                    (1, 512, 10)) + 4 * (32 + 32 + 64 + 64 + 512)),
        ("001-frozen", 23_587_712 + weights_of((1, 2048, 256), (1, 256, 10))),
        ("004-m7", 2_257_984 + weights_of((1, 1280, 256), (1, 256, 10))),
    ],
)  # fmt: skip
def test_a_recipe_has_the_layers_of_its_document(name: str, expected: int) -> None:
    """Its parameters, counted by hand from the layers that the document lists."""
    assert sum(counts(name, 0)) == expected


def test_m7_trains_the_head_first_and_then_the_last_50_layers_at_a_tenth_of_the_rate() -> None:
    space = space_of("004-m7")
    hp = populated(RECIPES["004-m7"].complete(declared(space)))
    model = space.build(hp)
    assert space.stages(hp) == [0, 5]
    assert len(model.trainable_variables) == 4
    space.begin_stage(hp, model, 1)
    backbone = model.trainable_variables[:-4]
    for variable in backbone:
        assert float(model.optimizer._optimizer_map(variable).learning_rate) == pytest.approx(1e-5)
    assert float(model.optimizer._optimizer_map(model.trainable_variables[-1]).learning_rate) == pytest.approx(1e-4)


def test_all_stands_for_those_of_the_space() -> None:
    assert [recipe.name for recipe in named(["004-m4", "all"], "custom_cnn")] == [
        "004-m4", "000-cnn", "000-second-stage", "002-cnn", "003-cnn", "004-m1", "004-m2", "004-m6"
    ]  # fmt: skip
    assert len(named(["all"], "finetune")) == 6
    assert named([], "finetune") == []


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("m4", "custom_cnn", "--recipes m4: there is no such recipe.*; --list-recipes shows 000-cnn, "),
        ("004-m7", "custom_cnn", "--recipes 004-m7 belongs to --space finetune; those of custom_cnn are 000-cnn, "),
        ("004-m4", "my:Space", "--recipes 004-m4: --space my:Space has no recipes"),
    ],
)
def test_what_is_no_recipe_here(name: str, space: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        named([name], space)


def test_a_recipe_at_an_image_size_that_it_cannot_take() -> None:
    with pytest.raises(UserError, match="recipe 004-m7 does not fit here: .*'image_size' is 96 but must be one of 128"):
        RECIPES["004-m7"].complete(declared(space_of("004-m7", Task(128, 10, 45_000, 10))))
    with pytest.raises(UserError, match="recipe 004-m4 does not fit here: .*'batch_size' is 512 but must be one of 16"):
        RECIPES["004-m4"].complete(declared(space_of("004-m4", Task(32, 10, 1000, 10))))
