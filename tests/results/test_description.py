"""A configuration in words."""

import pytest

from results.description import in_words


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (
            {"backbone": "mobilenet", "image_size": 96, "unfrozen_layers": 26, "optimizer": "adam",
             "learning_rate": 0.0013249, "augmentation": "standard", "mix": "cutmix"},
            "mobilenet at 96x96, its last 26 layers thawed; adam at a learning rate of 0.00132; "
            "standard augmentation, cutmix",
        ),
        ({"backbone": "vgg16", "unfrozen_layers": 1}, "vgg16, its last layer thawed"),
        ({"backbone": "vgg16", "unfrozen_layers": 0, "augmentation": "none"},
         "vgg16, all of it frozen; no augmentation"),
        ({"blocks": 3, "filters": 32}, "a CNN of 3 blocks, 32 filters in the first"),
        ({"units": 64}, ""),
    ],
)  # fmt: skip
def test_what_is_known_is_said_and_the_rest_left_out(configuration: dict[str, object], words: str) -> None:
    assert in_words(configuration) == words  # type: ignore[arg-type]
