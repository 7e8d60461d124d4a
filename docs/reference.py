"""Write the reference of the Python interface, from the docstrings: python docs/reference.py FOLDER"""

import sys
import warnings
from pathlib import Path

import pdoc

import tuner

ROOMS = ("tuner", "results", "search_spaces")


def main(folder: Path) -> None:
    """Write a page a module; of `tuner` what it exports."""
    for name in tuner.__all__:  # pdoc describes what a module has, and this one imports on demand
        getattr(tuner, name)
    warnings.filterwarnings("error", message="Found .* does not resolve")
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*ROOMS, output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
