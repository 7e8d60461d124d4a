"""A surrogate's network: a file `model.onnx`, as YAHPO Gym has them."""

from pathlib import Path

import onnxruntime


def surrogate(folder: Path) -> onnxruntime.InferenceSession:
    """The network in that folder, on one thread: studies are simulated side by side."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
