"""Memory that training each backbone takes: python benchmarks/backbone_memory.py

Each in a process of its own: all layers thawed, batches of 32 at its preferred image size, float32; the most that the
process held over what it held with the library loaded. The figures are in `search_spaces/backbones.py`.
"""

import resource
import subprocess
import sys

from search_spaces.backbones import BACKBONES

BATCH, STEPS = 32, 3


def peak() -> int:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(name: str) -> int:
    """MB for one backbone, in this process."""
    import numpy as np

    from search_spaces.configuration import complete
    from search_spaces.declaration import declared
    from search_spaces.finetune import FineTune
    from search_spaces.space import populated
    from search_spaces.task import Task

    row = BACKBONES[name]
    space = FineTune(Task(row.preferred_size, 10, BATCH * STEPS, 1), {name: None})
    hp = populated(complete(declared(space), {"unfrozen_layers": row.layers, "image_size": row.preferred_size}))
    before = peak()
    model = space.build(hp)
    images = np.zeros((BATCH * STEPS, row.preferred_size, row.preferred_size, 3), np.uint8)
    model.fit(images, np.eye(10)[np.zeros(len(images), int)], batch_size=BATCH, verbose=0)
    return peak() - before


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(measure(sys.argv[1]))
    else:
        for backbone in BACKBONES:
            done = subprocess.run([sys.executable, __file__, backbone], stdout=subprocess.PIPE, text=True, check=True)
            print(f"{backbone:20} {int(done.stdout.split()[-1]):6} MB", flush=True)
