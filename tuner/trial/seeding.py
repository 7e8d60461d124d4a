"""One seed for all that draws at random in a worker."""

import random

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import rng_utils


def set_random_seed(seed: int) -> None:
    """As `keras.utils.set_random_seed`, without what would make TensorFlow forget the kernels of traced functions.

    Setting TensorFlow's own seed does that (2.21), and traced functions then take up to half a second until they run
    again. Keras 3 never draws from it; so it is set when it is another one, or when somebody has drawn.
    """
    if not _is_untouched(seed):
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed)
    global_state.set_global_attribute(rng_utils.GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, None)


def _is_untouched(seed: int) -> bool:
    """Whether TensorFlow's seed is this one, and nothing has been drawn with it."""
    if keras.backend.backend() != "tensorflow":
        return False
    from tensorflow.python.eager import context

    if context.global_seed() != seed:
        return False
    return bool(context.context()._rng.getstate() == random.Random(seed).getstate())
