"""Systems that people built by hand for CIFAR-10, as named configurations of our spaces: where a search can start.

Each comes from one of five documents: the README or guide of a public project. What a document leaves open, or what
cannot be built as it says, is named in the recipe's `departures`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search_spaces.configuration import Configuration, complete, one_line
from search_spaces.errors import UserError, like
from search_spaces.hyperparameter import Hyperparameter, Value

DOCUMENTS = {
    "000": "a notebook's README: a CNN of three convolutional blocks, then fine-tuned",
    "001": "CIFAR-10 Image Classification: From 22% to 95% Accuracy",
    "002": "Unique Methodology: Optimizing VGG16 for Small-Scale Image Classification",
    "003": "Complete Guide: Custom CNN for CIFAR-10 Classification",
    "004": "CIFAR-10 CNN Image Classifier",
}
OURS = {
    "custom_cnn": "pixels are scaled to -1..1 (documents: 0..1), kernels are He-normal, normalization has momentum 0.9",
    "finetune": "batch normalization of the head has momentum 0.9",
}
"""What is so in every model of a space, whatever a document says."""
NO_OPTIMIZER = "optimizer, rate and batch size are not stated: Adam, 1e-3, 64"
NO_BEST_WEIGHTS = "early stopping ends the training; the best epoch's model is kept in any case"
SAME_PADDING = "the padding of convolutions is not stated: same"


@dataclass(frozen=True)
class Recipe:
    """One known system."""

    name: str
    """Its document's number and a word."""
    space: str
    accuracy: str
    """Test accuracy on CIFAR-10 that the document reports, in its words."""
    configuration: Mapping[str, Value]
    """What differs from the space's defaults."""
    departures: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The number of its document, a key of `DOCUMENTS`."""
        return self.name[:3]

    def complete(self, hyperparameters: Sequence[Hyperparameter]) -> Configuration:
        """Its whole configuration in a space for a certain task.

        Raises:
            UserError: the space cannot have it there, as with an image size that is not offered.
        """
        try:
            return complete(hyperparameters, self.configuration)
        except UserError as error:
            raise UserError(f"recipe {self.name} does not fit here: {error}") from error

    def __str__(self) -> str:
        lines = [
            f"{self.name}  (--space {self.space})",
            f"  document {self.document}: {DOCUMENTS[self.document]}",
            f"  its accuracy: {self.accuracy}",
            *_wrapped(f"configuration, beyond the space's defaults: {one_line(self.configuration)}"),
        ]
        for departure in (*self.departures, OURS[self.space]):
            lines += _wrapped(f"departs: {departure}")
        return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


_CNN_000: dict[str, Value] = {
    "blocks": 3,
    "convs_per_block": 2,
    "filters": 32,
    "layer_order": "conv-relu-norm",
    "pooling": "flatten",
    "feature_dropout": 0.25,
    "dense_layers": 1,
    "dense_units": 1024,
    "dropout": 0.5,
    "batch_size": 64,
}
_OPEN_000 = (NO_OPTIMIZER, "dropout rates are not stated: 0.25 before and 0.5 after the hidden layer")
_PLAIN_SGD: dict[str, Value] = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1e-2, "batch_size": 512}
_HEAD_002: dict[str, Value] = {"dense_units": 512, "dense_batch_norm": True, "dropout": 0.5, "batch_size": 64}
_HEAD_001: dict[str, Value] = {"dense_units": 256, "dropout": 0.5}
_STANDARD = "the augmentation `standard` flips, rotates, zooms, shifts and changes the contrast"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("000-cnn", "custom_cnn", "not stated before fine-tuning", _CNN_000, _OPEN_000),
        Recipe(
            "000-second-stage",
            "custom_cnn",
            "approximately 88 %",
            _CNN_000 | {"second_stage": True, "second_stage_share": 0.3, "second_stage_lr_ratio": 0.1},
            (*_OPEN_000, "length and rate of the second stage are not stated: 30 % of the epochs, a tenth of the rate"),
        ),
        Recipe(
            "001-frozen",
            "finetune",
            "22.6 %: a warning, 0..1 is not what its weights expect",
            {"backbone": "resnet50", "image_size": 32, "input_scaling": "unit", **_HEAD_001},
            (
                NO_OPTIMIZER,
                "the head is not stated: that of document 003's ResNet50",
            ),
        ),
        Recipe(
            "001-last-block",
            "finetune",
            "~95 %",
            {
                "backbone": "resnet50",
                "image_size": 32,
                "input_scaling": "unit",
                "unfrozen_layers": 32,
                "backbone_lr_ratio": 1.0,
                "freeze_batch_norm": False,
                "augmentation": "standard",
                "learning_rate": 1e-4,
                **_HEAD_001,
            },
            (
                "optimizer, rate and batch size are not stated: Adam, 1e-4, 64",
                "the head is not stated: that of document 003's ResNet50",
                f"{_STANDARD}; the document leaves the contrast alone",
            ),
        ),
        Recipe(
            "002-cnn",
            "custom_cnn",
            "80 %",
            {
                "blocks": 2,
                "convs_per_block": 2,
                "filters": 32,
                "layer_order": "conv-relu-norm",
                "conv_dropout": 0.25,
                "pooling": "flatten",
                "early_stopping": 10,
                **_HEAD_002,
            },
            (NO_BEST_WEIGHTS,),
        ),
        Recipe(
            "002-vgg16-frozen",
            "finetune",
            "less than 60 %",
            {"backbone": "vgg16", "image_size": 32, "input_scaling": "unit", "early_stopping": 10, **_HEAD_002},
        ),
        Recipe(
            "002-vgg16-stack",
            "finetune",
            "better than frozen; the figure is in a picture",
            {
                "backbone": "vgg16",
                "image_size": 32,
                "input_scaling": "unit",
                "unfrozen_layers": 18,
                "backbone_lr_ratio": 1.0,
                "head": "conv_stack",
                "stack_filters": 32,
                "stack_dropout": 0.25,
                "pooling": "flatten",
                "early_stopping": 10,
                **_HEAD_002,
            },
            (
                "it cannot be built as written: VGG16 leaves 1x1 of 32x32 pixels and max-pooling cannot halve that; "
                'poolings of the stack are padded ("same")',
            ),
        ),
        Recipe(
            "003-cnn",
            "custom_cnn",
            "80 %",
            {
                "blocks": 3,
                "convs_per_block": 2,
                "filters": 32,
                "layer_order": "conv-relu-norm",
                "conv_dropout": 0.25,
                "pooling": "flatten",
                "dense_layers": 2,
                "dense_units": 256,
                "dense_taper": True,
                "dense_batch_norm": True,
                "dropout": 0.5,
                "augmentation": "standard",
                "augmentation_strength": 0.1,
                "schedule": "plateau",
                "early_stopping": 10,
                "batch_size": 64,
            },
            (
                NO_BEST_WEIGHTS,
                f"{_STANDARD}; the document flips, rotates and zooms",
                "it has 849,066 parameters; the document says about 1.2 million, which its own layers do not add up to",
            ),
        ),
        Recipe(
            "004-m1",
            "custom_cnn",
            "~55 %",
            {
                "blocks": 1,
                "convs_per_block": 1,
                "filters": 32,
                "batch_norm": "none",
                "pooling": "flatten",
                "dense_units": 100,
                **_PLAIN_SGD,
            },
            ("the rate of SGD is not stated: Keras's 0.01", SAME_PADDING),
        ),
        Recipe(
            "004-m2",
            "custom_cnn",
            "~58 %",
            {
                "blocks": 1,
                "convs_per_block": 2,
                "filters": 32,
                "batch_norm": "none",
                "pooling": "flatten",
                "dense_units": 128,
                **_PLAIN_SGD,
            },
            ("the rate of SGD is not stated: Keras's 0.01", SAME_PADDING),
        ),
        Recipe(
            "004-m4",
            "custom_cnn",
            "~78 %",
            {
                "blocks": 2,
                "convs_per_block": 2,
                "filters": 32,
                "batch_norm": "none",
                "conv_dropout": 0.2,
                "pooling": "flatten",
                "dense_units": 128,
                "dropout": 0.5,
                "batch_size": 512,
            },
            (SAME_PADDING,),
        ),
        Recipe(
            "004-m5",
            "finetune",
            "~67 %",
            {
                "backbone": "vgg16",
                "image_size": 64,
                "input_scaling": "unit",
                "dense_units": 128,
                "optimizer": "sgd",
                "momentum": 0.9,
                "learning_rate": 1e-3,
                "batch_size": 64,
            },
            ('"small dense head" is not stated further: 128 units on the average over positions',),
        ),
        Recipe(
            "004-m6",
            "custom_cnn",
            "~82.5 %",
            {
                "blocks": 3,
                "convs_per_block": 2,
                "filters": 64,
                "batch_norm": "block",
                "pooling": "flatten",
                "dense_units": 128,
                "dropout": 0.5,
                "augmentation": "standard",
                "batch_size": 512,
            },
            (
                SAME_PADDING,
                "the rate of Adam is not stated: 1e-3",
                f"{_STANDARD}; the document flips, rotates and changes the contrast",
            ),
        ),
        Recipe(
            "004-m7",
            "finetune",
            "~88-89 %",
            {
                "backbone": "mobilenet_v2",
                "image_size": 96,
                "input_scaling": "unit",
                "warmup_epochs": 5,
                "unfrozen_layers": 50,
                "backbone_lr_ratio": 0.1,
                "freeze_batch_norm": False,
                "feature_dropout": 0.4,
                "dense_units": 256,
                "dropout": 0.4,
                "augmentation": "standard",
                "learning_rate": 1e-4,
                "schedule": "plateau",
                "early_stopping": 10,
                "batch_size": 64,
            },
            (
                "batch size, patience and the phases' lengths are not stated: 64, 10 epochs, 5 epochs and the rest",
                "the head goes on at the rate of the first phase, the backbone at a tenth of it",
                f"{_STANDARD}; the document rotates, shifts and flips",
            ),
        ),
    )
}


def named(names: Sequence[str], space: str) -> list[Recipe]:
    """The recipes of --recipes; "all" stands for every one of the space.

    Raises:
        UserError: there is no such recipe, or it belongs to another space.
    """
    of_space = [recipe.name for recipe in RECIPES.values() if recipe.space == space]
    if names and not of_space:
        raise UserError(f"--recipes {','.join(names)}: --space {space} has no recipes")
    for name in names:
        if name == "all":
            continue
        if name not in RECIPES:
            guess = like(name, RECIPES)
            raise UserError(
                f"--recipes {name}: there is no such recipe{guess}; --list-recipes shows {', '.join(RECIPES)}"
            )
        if name not in of_space:
            raise UserError(
                f"--recipes {name} belongs to --space {RECIPES[name].space}; those of {space} are {', '.join(of_space)}"
            )
    wanted = dict.fromkeys(one for name in names for one in (of_space if name == "all" else [name]))
    return [RECIPES[name] for name in wanted]
