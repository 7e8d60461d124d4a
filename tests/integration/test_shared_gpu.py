"""Trials that share a GPU. Ray is told of one; what runs out of memory on it says so itself."""

import json
import subprocess
import sys
from pathlib import Path

from results.paths import RunPaths
from results.records import TrialState, read_trials

SPACE = """
import time
from pathlib import Path

import keras
import keras_tuner


class Greedy(keras_tuner.HyperModel):
    '''"large" needs the GPU for itself, "huge" more than there is; "small" stays until both have failed once.'''

    def declare(self, hp):
        hp.Choice("size", ["small", "large", "huge"])

    def build(self, hp):
        self.declare(hp)
        layers = [keras.Input((16, 16, 3)), keras.layers.GlobalAveragePooling2D()]
        model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        place, size = Path(PLACE_HERE), hp.get("size")
        if size == "small":
            (place / "small").touch()
            while len(list(place.glob("failed-*"))) < 2:
                time.sleep(0.1)
        else:
            while not (place / "small").exists() and not (place / "was small").exists():
                time.sleep(0.1)
            if size == "huge" or (place / "small").exists():
                (place / f"failed-{size}").touch()
                raise MemoryError("no room for " + size)
        try:
            return model.fit(*args, **kwargs)
        finally:
            if size == "small":
                (place / "small").rename(place / "was small")
"""
STUDY = """
import ray
from pathlib import Path
from tuner.config import StudyConfig
from tuner.study import run_study

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False)
run_study(StudyConfig(space="greedy:Greedy", data="digits", image_size=16, configs=Path("sizes.json"), trials=3,
                      max_epochs=1, gpus_per_trial=0.5, precision="float32", name="shared", dashboard=False,
                      finalists=0))
"""


def test_what_runs_out_of_memory_is_tried_again_alone_and_only_then_failed(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(SPACE.replace("PLACE_HERE", repr(str(tmp_path))))
    (tmp_path / "sizes.json").write_text(json.dumps([{"size": size} for size in ("large", "small", "huge")]))
    done = subprocess.run([sys.executable, "-c", STUDY], cwd=tmp_path, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    large, small, huge = read_trials(RunPaths.existing(tmp_path / "runs" / "shared"))
    assert [large.state, small.state, huge.state] == [TrialState.DONE, TrialState.DONE, TrialState.FAILED]
    assert large.reason is None
    assert len(large.epochs) == 1
    assert huge.reason == "out of memory: no room for huge"
    assert "trial 0 ran out of memory: no room for large; it is tried again alone, at the end" in done.stdout
