"""The tutorial runs as it is committed, and what a notebook keeps of a search is readable."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.integration.test_search import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
REFUSED = "run_study(config, (x, y))"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The tutorial, and a cell more that is refused."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(REFUSED, metadata={"tags": ["raises-exception"]}))
    folder = tmp_path_factory.mktemp("notebook")
    return NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}}).execute()


def outputs(notebook: NotebookNode, of: str) -> list[NotebookNode]:
    """Of the one cell that has that in its source."""
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and of in cell.source]
    return list(cell.outputs)


def printed(found: list[NotebookNode]) -> str:
    return "".join(output.text for output in found if output.output_type == "stream")


def test_a_search_is_one_table_for_its_trials_and_one_for_its_finalists(executed: NotebookNode) -> None:
    found = outputs(executed, "study = run_study(")
    tables = [output.data for output in found if output.output_type == "display_data"]
    assert [re.search(r"(\d) of (\d) ended", table["text/plain"]).groups() for table in tables] == [  # type: ignore[union-attr]
        ("4", "4"),
        ("1", "1"),
    ]
    assert all(table["text/html"].startswith("<pre ") and "val accuracy" in table["text/html"] for table in tables)
    assert "1275 training and 225 validation images of 10 classes, 8x8 pixels" in printed(found)
    assert "\x1b" not in str(found)
    assert "INFO" not in printed(found)
    assert "Study tutorial: 4 trials" in found[-1].data["text/plain"]
    assert "<table" in found[-1].data["text/html"]


def test_what_was_found_is_used(executed: NotebookNode) -> None:
    said = printed(outputs(executed, "study.best()"))
    assert re.search(r"on the test images \d+\.\d% \(95 % interval: ", said)
    of_the_test = re.search(r"on the test images (\S+)", said)
    assert of_the_test is not None
    assert f"{of_the_test[1]} of the test images" in printed(outputs(executed, "load_model"))
    assert "digit.png" in printed(outputs(executed, "classify"))
    assert len(outputs(executed, "leaderboard()")) == 1
    assert "image/png" in outputs(executed, "plt.legend()")[-1].data


def test_what_a_user_can_put_right_is_a_sentence(executed: NotebookNode) -> None:
    (error,) = executed.cells[-1].outputs
    assert len(error.traceback) == 1
    assert re.fullmatch(r"UserError: --name tutorial: .* exists already; .*", error.traceback[0])


def test_it_is_committed_without_outputs() -> None:
    """They would name folders, and differ each time."""
    cells = nbformat.read(TUTORIAL, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
