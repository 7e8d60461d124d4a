"""A configuration of the bundled spaces in a sentence; of others nothing is known but their values."""

from search_spaces.configuration import Configuration, shown

BACKBONE, THAWED = "backbone", "unfrozen_layers"
"""As `search_spaces.finetune` names them."""


def in_words(configuration: Configuration) -> str:
    """`mobilenet at 96x96, its last 26 layers thawed; adam at a learning rate of 0.00132; no augmentation`.

    Empty for a space of which none of these hyperparameters is known.
    """
    parts = [_network(configuration), _optimizer(configuration), _images(configuration)]
    return "; ".join(filter(None, parts))


def _network(configuration: Configuration) -> str:
    if BACKBONE in configuration:
        size = configuration.get("image_size")
        where = f" at {size}x{size}" if size else ""
        thawed = configuration.get(THAWED)
        layers = (
            "all of it frozen"
            if not thawed
            else "its last layer thawed"
            if thawed == 1
            else f"its last {thawed} layers thawed"
        )
        return f"{configuration[BACKBONE]}{where}, {layers}"
    if {"blocks", "filters"} <= configuration.keys():
        blocks = configuration["blocks"]
        return f"a CNN of {blocks} block{'' if blocks == 1 else 's'}, {configuration['filters']} filters in the first"
    return ""


def _optimizer(configuration: Configuration) -> str:
    if not {"optimizer", "learning_rate"} <= configuration.keys():
        return ""
    return f"{configuration['optimizer']} at a learning rate of {shown(configuration['learning_rate'])}"


def _images(configuration: Configuration) -> str:
    if "augmentation" not in configuration:
        return ""
    drawn = "no" if configuration["augmentation"] == "none" else str(configuration["augmentation"])
    mixed = configuration.get("mix", "none")
    return f"{drawn} augmentation" + ("" if mixed == "none" else f", {mixed}")
