"""Every command that is printed or documented is one that the script takes, and passes the checks that come first."""

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from results import commands
from results.best import next_commands
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_trials, write
from search_spaces.errors import UserError
from tests.guides import ROOT
from tests.results.written_run import a_trial, keep_model, write_run
from tuner import resumption
from tuner.config import StudyConfig
from tuner.options import parsed, settings
from tuner.study import WORKS, _check_early, _resume_command

SCRIPTS = sorted(file.stem for file in (ROOT / "scripts").glob("*.py"))
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
CODE = [file for room in ("results", "tuner", "search_spaces", "scripts") for file in (ROOT / room).rglob("*.py")]
NAMED = re.compile(r"scripts/(\w+)\.py([^`\n;]*)")


def command_of(script: str) -> Any:
    """The script's real command-line parser."""
    spec = importlib.util.spec_from_file_location(f"script_{script}", ROOT / "scripts" / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return typer.main.get_command(module.app)


def options_of(command: str) -> dict[str, Any]:
    """What the script understands of a command that is typed, as `StudyConfig` has it if it is a search's.

    Raises:
        click.UsageError: the script does not take it.
        UserError: an option out of its range.
    """
    python, script, *words = shlex.split(command, comments=True)
    assert python == "python"
    context = command_of(Path(script).stem).make_context(script, words)
    found = {
        name: value
        for name, value in context.params.items()
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    if Path(script).stem != "search":
        return found
    own = {name: found.pop(name) for name in ("resume", "repeat") if name in found}
    options = parsed(StudyConfig, found)
    StudyConfig(**options)
    return own | options


def documented(text: str) -> Iterator[str]:
    """The commands of a page: lines of its blocks, and what stands in backticks."""
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("python scripts/"))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", prose):
        if (command := " ".join(code.split())).startswith("python scripts/"):
            yield command


@pytest.mark.parametrize("page", PAGES)
def test_the_scripts_take_what_the_guides_say(page: str) -> None:
    for command in documented((ROOT / page).read_text(encoding="utf-8")):
        options_of(command)


def test_the_guides_are_read_for_commands() -> None:
    found = list(documented((ROOT / "README.md").read_text(encoding="utf-8")))
    assert "python scripts/report.py --compare runs/A runs/B" in found
    assert len(found) > 15
    with pytest.raises(Exception, match="No such option: --finalist"):
        options_of("python scripts/finalists.py runs/pets --finalist 3")


def texts(file: Path) -> Iterator[str]:
    """What may be printed of a file of ours: its strings, or a template as it is."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


PRINTED = [*CODE, *(file for folder in ("results/templates", "deploy") for file in (ROOT / folder).rglob("*.*"))]


@pytest.mark.parametrize("file", PRINTED, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_script_or_option_that_is_named_is_there(file: Path) -> None:
    for script, rest in (match.groups() for text in texts(file) for match in NAMED.finditer(text)):
        assert script in SCRIPTS
        taken = {option for one in command_of(script).params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"--[a-z][a-z-]+", rest)) <= taken


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    monkeypatch.chdir(tmp_path)
    paths = write_run(tmp_path / "my runs" / "pets", [a_trial(0, [0.5], backbone="mobilenet", is_thawed=True)])
    (tmp_path / "mobilenet.weights.h5").write_bytes(b"")
    return paths


def searched(paths: RunPaths, **options: Any) -> tuple[StudyRecord, TrialRecord]:
    """The run's records, as of a search with these options."""
    study, (trial,) = read_study(paths), read_trials(paths)
    config = StudyConfig(name="pets", **options)
    return replace(study, options=config.options(), data=replace(study.data, source=config.data)), trial


@pytest.mark.parametrize("given", [{"weights": "mobilenet.weights.h5", "backbones": ("mobilenet",)},
                                   {"backbones": ("mobilenet", "vgg16"), "retrain": True}, {"finalists": 0}, {}],
                         ids=["one file of weights", "several backbones", "no finalists", "all backbones"])  # fmt: skip
def test_the_winner_is_trained_once_more_as_it_was(paths: RunPaths, given: dict[str, Any]) -> None:
    study, trial = searched(paths, data="digits", **given)
    config = StudyConfig(**options_of(commands.once_more(study, trial, "digits")))
    _check_early(config)
    assert config.backbones == ("mobilenet",)
    assert dict(config.fix) == trial.configuration
    assert [type(value) for value in config.fix.values()] == [type(value) for value in trial.configuration.values()]
    assert (config.trials, config.scheduler, config.data, config.seed) == (1, "none", "digits", 0)
    for name in ("weights", "max_epochs", "views", "finalist_seeds", "retrain"):
        assert getattr(config, name) == study.options[name]
    assert config.finalists == min(1, study.options["finalists"])


def test_a_space_that_is_code_has_no_backbones_to_name(paths: RunPaths) -> None:
    study, trial = searched(paths, data="my photos", space="mine:Own")
    options = options_of(commands.once_more(study, trial, "my photos"))
    assert "backbones" not in options
    assert (options["space"], options["data"]) == ("mine:Own", "my photos")


@given(st.text(min_size=1) | st.sampled_from(["1", "true", "True", "NaN", "null", '"a"', "[1]", "-x", "a b", "é'$"])
       | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())  # fmt: skip
def test_any_value_is_fixed_as_it_was(value: Any) -> None:
    words = shlex.split(commands.search(fix={"name": value}))[2:]
    found = settings("--fix", words[1::2])["name"]
    assert found == value
    assert type(found) is type(value)


def test_one_file_of_weights_for_all_backbones_is_refused_at_once(paths: RunPaths) -> None:
    with pytest.raises(UserError, match="is one file but 9 backbones are searched"):
        _check_early(StudyConfig(weights="mobilenet.weights.h5", data="digits"))


@pytest.mark.parametrize("given", [{}, {"space": "mine:Own"}, {"storage": "else where"}, {"address": "10.0.0.1:6379"},
                                   {"study_storage": "postgresql://a@b/c"}, {"mlflow": "sqlite:///m.db"}])  # fmt: skip
def test_an_interrupted_search_goes_on_with_all_that_has_to_be_named_again(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert options_of(_resume_command(StudyConfig(name="pets", **given))) == {"resume": True, "name": "pets"} | given


def test_what_is_next_is_what_the_scripts_take(paths: RunPaths) -> None:
    (trial,) = read_trials(paths)
    run = "my runs/pets"
    without, *_ = next_commands(paths, trial, [])
    assert without.startswith("# There is no model to export: ")
    for command in next_commands(paths, trial, [])[1:]:
        options_of(command)
    keep_model(paths, trial)
    export, predict = next_commands(paths, trial, [])
    assert options_of(export) == {"run": run, "out": Path("model.keras")}
    assert options_of(predict) == {"model": "model.keras", "images": ["IMAGE..."]}
    assert options_of(commands.report(run)) == {"runs": [run]}
    given = {"finalists": 2, "space": "mine:Own", "open_test_again": True}
    assert options_of(commands.finalists(run, **given, retrain=None, no_retrain=True)) == given | {
        "run": run, "retrain": False,
    }  # fmt: skip


def test_a_model_that_needs_code_is_not_said_to_be_exported_next(paths: RunPaths) -> None:
    (trial,) = read_trials(paths)
    keep_model(paths, trial)
    write(paths.study, replace(read_study(paths), needs_code=("scaled (Lambda)",)))
    assert next_commands(paths, trial, []) == (
        "# Its models cannot be exported: Keras does not load scaled (Lambda) without the code",
    )


def test_a_space_of_somebodys_own_is_named_again(paths: RunPaths) -> None:
    study = read_study(paths)
    assert "--space" not in commands.finalists_of(paths)
    write(paths.study, replace(study, options={**study.options, "space": "mine:Own"}))
    assert options_of(commands.finalists_of(paths, open_test_again=True)) == {
        "run": "my runs/pets", "space": "mine:Own", "open_test_again": True,
    }  # fmt: skip


def test_what_else_is_printed_is_what_search_takes() -> None:
    assert options_of(WORKS.partition(": ")[2]) == {"space": "finetune", "data": "digits"}
    assert options_of(resumption.ANEW.partition(" begins")[0]) == {"warm_start": ("RUN",)}


def test_a_shell_takes_the_servers_address_as_it_is() -> None:
    command = commands.classify("http://127.0.0.1:8000")
    assert command == "curl --data-binary @IMAGE 'http://127.0.0.1:8000/classify?top=3'"
    for file in [*PAGES, "results/templates/demo.html"]:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not re.search(r"curl [^'\n`]*\?", text), f"{file}: zsh takes ? for a glob"
