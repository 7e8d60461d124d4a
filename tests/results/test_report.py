"""The page that a user opens: report.html."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.comparison import write_comparison
from results.evaluation import evaluate
from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read_study, read_test, write
from results.report import write_report
from results.summary import print_summary
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Choices, Hyperparameter
from tests.results.written_run import a_trial, decide, many_trials, write_run


def page_of(paths: RunPaths) -> str:
    write_report(paths)
    return paths.report.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What stands on the page outside drawings and style, with single blanks."""
    without = re.sub(r"<(style|svg|title)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def test_the_answer_comes_first(tmp_path: Path) -> None:
    trials = [
        a_trial(0, [0.5], TrialState.STOPPED),
        a_trial(1, [0.7, 0.98765, 0.9], learning_rate=0.0012345, optimizer="adamw"),
        a_trial(2, state=TrialState.FAILED, reason="out of memory"),
    ]
    text = text_of(page_of(write_run(tmp_path / "pets-1", trials)))
    parts = [
        "pets-1",
        "98.77 %",
        "Trial 1 after epoch 2, 12,345 parameters",
        "3: 1 done, 1 stopped early, 1 failed",
        "pets, 2 classes, 96 \N{MULTIPLICATION SIGN} 96 pixels",
        "1,400 training, 300 validation, 300 test (not opened)",
        "optimizer adamw learning_rate 0.00123 units 64",
        "optimistic",
        "python scripts/export.py",
        "Leaderboard",
        "out of memory",
        "python scripts/search.py --data pets",
        "0123456789abcdef",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_every_figure_is_on_the_page_of_a_study_of_some_size(tmp_path: Path) -> None:
    trials = many_trials(12)
    trials = [replace(trial, parameters=1000 * (trial.trial + 1), worker=f"host {trial.trial % 2}") for trial in trials]
    paths = write_run(tmp_path / "run", trials)
    decide(paths, [trials[1], trials[3]])
    page = page_of(paths)
    names = re.findall(r'role="img" aria-label="([^"]+)"', page)
    assert names == [
        "Share that was right against the probability",
        "Validation accuracy of every epoch over time",
        "Validation accuracy of each trial against its epochs",
        "Loss of the winner against its epochs",
        "Accuracy of the winner against its epochs",
        "Trials of each worker over time",
        "Validation accuracy against optimizer",
        "Validation accuracy against learning_rate",
        "Validation accuracy against momentum",
        "Trials across hyperparameters",
        "Importance of each hyperparameter",
        "Validation accuracy against parameters",
    ]
    for_phones = page.count('<div class="on-narrow"><svg')
    assert for_phones == 2, "what is wide is drawn anew for phones"
    assert page.count("<svg") == len(names) + for_phones


def test_the_test_split_is_the_answer_where_it_was_opened(tmp_path: Path) -> None:
    trials = many_trials(12)
    paths = write_run(tmp_path / "run", trials, class_names=("cat", "<i>dog", "cow"))
    decide(paths, [trials[1], trials[3]])
    text = text_of(page_of(paths))
    test = read_test(paths)
    assert test is not None
    accuracy, (low, high) = test.evaluation.accuracy, test.evaluation.interval
    parts = [
        f"Test accuracy {100 * accuracy:.2f} % 95 % interval {100 * low:.2f} % to {100 * high:.2f} %, 60 images",
        "Trial 1",
        "Finalists",
        "Trial 1 wins",
        "Test split",
        "Opened on 2026-01-03 for finalists/best/trial-0000.keras",
        "Most often mistaken, by the share of the class",
        "Images First the mistakes",
        "The winner once more",
        "--fix optimizer=sgd",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert "<i>dog" not in paths.report.read_text()
    assert "not opened" not in text


def test_many_trials_of_which_the_best_lack_a_hyperparameter_are_drawn(tmp_path: Path) -> None:
    best = [
        a_trial(number, [0.9 - number / 1e4], units=number % 7, learning_rate=(number + 1) / 1e4)
        for number in range(510)
    ]
    others = [a_trial(number, [0.1], optimizer="sgd", momentum=number / 1000) for number in range(510, 520)]
    assert "Trials across hyperparameters" in page_of(write_run(tmp_path / "run", [*best, *others]))


VALUES = st.one_of(
    st.lists(st.sampled_from([0, 1, 16, 32, 4096]), min_size=1, max_size=4),
    st.lists(st.sampled_from([0.0, 1e-6, 0.1, 0.5, 3.0]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b<i>", "$c$"]), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=2),
)


@st.composite
def studies(draw: st.DrawFn) -> list[TrialRecord]:
    """Trials of any states whose hyperparameters are active here and there."""
    values = draw(st.dictionaries(st.sampled_from(["momentum", "units", "backbone", "unfrozen_layers"]), VALUES))
    trials = []
    for number in range(draw(st.integers(1, 12))):
        accuracies = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=3))
        state = draw(st.sampled_from([TrialState.DONE, TrialState.STOPPED, TrialState.RUNNING, TrialState.FAILED]))
        active = draw(st.sets(st.sampled_from(sorted(values)))) if values else ()
        configuration = {name: draw(st.sampled_from(values[name])) for name in sorted(active)}
        trial = a_trial(number, accuracies, state, reason="why", **configuration)
        trials.append(replace(trial, configuration=configuration, worker=draw(st.sampled_from([None, "a 1", "b 2"]))))
    return trials


@given(studies())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_study_has_a_report(trials: list[TrialRecord]) -> None:
    with TemporaryDirectory() as folder:
        assert "</html>" in page_of(write_run(Path(folder) / "run", trials))


@pytest.mark.parametrize("momentum", [0, 0.0, 0.5])
def test_a_hyperparameter_that_is_active_once_is_drawn(tmp_path: Path, momentum: float) -> None:
    more = [a_trial(number, [0.5], units=number) for number in range(3, 9)]
    trials = [a_trial(0, [0.5]), a_trial(1, [0.6], units=32, momentum=momentum), a_trial(2, [0.7], units=16), *more]
    assert "Trials across hyperparameters" in page_of(write_run(tmp_path / "run", trials))


@pytest.mark.parametrize("number", [2, 4, 7])
def test_few_trials_have_no_plots_of_a_few_dots(number: int, tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", many_trials(number)))
    assert "Validation accuracy against optimizer" not in page
    assert "Trials across hyperparameters" not in page
    assert "Validation accuracy of every epoch over time" in page


def test_a_hyperparameter_of_three_trials_is_named_and_not_drawn(tmp_path: Path) -> None:
    trials = [a_trial(each, [0.5 + each / 20], units=each, **({"momentum": each} if each < 3 else {}))
              for each in range(9)]  # fmt: skip
    page = page_of(write_run(tmp_path / "run", trials))
    assert "Active in too few trials to be drawn: momentum." in text_of(page)
    assert "Validation accuracy against units" in page
    assert "Validation accuracy against momentum" not in page


def test_each_backbone_has_a_panel_of_the_size_of_the_others(tmp_path: Path) -> None:
    sizes = []
    for backbones in (["mobilenet"], ["mobilenet", "vgg16", "resnet50"]):
        trials = [a_trial(each, [0.5 + each / 20], backbone=backbones[each % len(backbones)], unfrozen_layers=each)
                  for each in range(9)]  # fmt: skip
        names = ("backbone", "unfrozen_layers")
        page = page_of(write_run(tmp_path / f"{len(backbones)}", trials, names))
        panels = re.findall(r'against thawed layers of (\w+)">(<svg [^>]*>)', page)
        assert [name for name, _ in panels] == sorted(backbones)
        sizes += [re.search(r'width="([\d.]+)pt"', svg).group(1) for _, svg in panels]  # type: ignore[union-attr]
    assert len(set(sizes)) == 1


def test_what_differs_from_the_defaults_comes_first_and_the_rest_is_folded(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5], units=32)])
    declared = (
        Hyperparameter("optimizer", Choices(("adam", "sgd")), "adam"),
        Hyperparameter("learning_rate", Choices((0.001, 0.01)), 0.001),
        Hyperparameter("units", Choices((32, 64)), 64),
    )
    write(paths.study, replace(read_study(paths), declared=declared))
    text = text_of(page_of(paths))
    assert "Best configuration units 32 2 hyperparameters at the default optimizer adam learning_rate 0.001" in text
    markdown = " ".join(paths.report_text.read_text().replace("&#95;", "_").split())
    assert "At the default: optimizer adam, learning_rate 0.001." in markdown


def test_how_many_trials_were_asked_for_and_units_are_told(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5]), a_trial(1, state=TrialState.INTERRUPTED)])
    study = read_study(paths)
    options = {
        "trials": 12,
        "time_budget": 360.0,
        "trial_timeout": 21600.0,
        "max_latency": 20.0,
        "feature_store_gb": 5.0,
    }
    write(paths.study, replace(study, options={**study.options, **options}))
    text = text_of(page_of(paths))
    assert "Trials 2 of 12 asked for: 1 done, 1 interrupted" in text
    for part in ("time budget 6m00s", "trial timeout 6h00m", "max latency 20 ms an image"):
        assert part in text
    assert "A worker is written down with a trial's first epoch" in text.replace("&#39;", "'")


def test_the_rarest_class_is_among_the_mistaken_and_pictures_have_their_files(tmp_path: Path) -> None:
    trials = many_trials(12)
    paths = write_run(tmp_path / "run", trials, class_names=("common", "usual", "rare"))
    decide(paths, [trials[1]])
    test = read_test(paths)
    assert test is not None
    labels = np.repeat([0, 1, 2], [200, 200, 21])
    called = labels.copy()
    called[:12], called[200:210], called[400:404] = 1, 0, 0
    found = evaluate(labels, np.eye(3)[called])
    examples = (replace(test.examples[0], source="rare/a & b.jpg"), *test.examples[1:])
    write(paths.test, replace(test, evaluation=found, examples=examples))
    text = text_of(page_of(paths))
    assert "by the share of the class: rare for common (4 of 21), common for usual (12 of 200)," in text.replace(
        " ,", ","
    )
    assert "rare/a &amp; b.jpg" in text
    bars = "".join(re.findall(r'against the probability">(<svg.*?</svg>)', paths.report.read_text(), re.DOTALL))
    assert ">421</text>" in bars, "images above the bar"


def test_finalists_that_failed_are_named(tmp_path: Path) -> None:
    trials = many_trials(12)
    paths = write_run(tmp_path / "run", trials)
    paths.finalists.trial(0).mkdir(parents=True)
    failed = replace(trials[1], trial=0, seed=1, state=TrialState.FAILED, reason="out of memory")
    write(paths.finalists.trial_record(0), failed)
    assert "failed: out of memory 1 training of finalists" in text_of(page_of(paths))


def test_trials_in_every_state_are_shown(tmp_path: Path) -> None:
    trials = [a_trial(number, [0.5] if number < 3 else [], state) for number, state in enumerate(TrialState)]
    page = page_of(write_run(tmp_path / "run", trials))
    who_trained_when = page[page.index("Who trained when") :]
    for state in TrialState:
        assert f'<i class="{state.lower()}"></i>' in who_trained_when
        assert f"i.{state.lower()} {{ background" in page


def test_a_second_opening_is_told(tmp_path: Path) -> None:
    trials = many_trials(12)
    paths = write_run(tmp_path / "run", trials)
    decide(paths, [trials[3]])
    study = read_study(paths)
    write(paths.study, replace(study, test_openings=study.test_openings * 2))
    assert "The test split was opened 2 times" in text_of(page_of(paths))


def test_the_text_says_the_same_as_the_page_and_escapes_too(tmp_path: Path) -> None:
    trials = many_trials(12)
    paths = write_run(tmp_path / "run", trials, class_names=("cat", "<b>d|og</b>"))
    decide(paths, [trials[1], trials[3]])
    write_report(paths)
    text = paths.report_text.read_text(encoding="utf-8")
    assert "<b>" not in text
    for part in ("Trial 1 wins", "Test accuracy", "&#60;b&#62;d&#124;og", "| optimizer | sgd |", "--fix optimizer=sgd"):
        assert part in text, part


def test_two_runs_are_compared_side_by_side(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", many_trials(12))
    two = write_run(tmp_path / "two", [a_trial(0, [0.5, 0.98], optimizer="<b>")])
    write_comparison([one, two], tmp_path / "comparison.html")
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    text = text_of(page)
    for part in ("one · two", "98.00 %", "89.90 %", "&lt;b&gt;", "optimizer"):
        assert part in text, part
    assert "do not compare" not in text
    write(two.study, replace(read_study(two), data=replace(read_study(two).data, fingerprint="another")))
    write_comparison([one, two], tmp_path / "comparison.html")
    assert "their accuracies do not compare" in text_of((tmp_path / "comparison.html").read_text(encoding="utf-8"))


def test_a_run_without_an_epoch_leaves_the_others_their_colours(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", []), write_run(tmp_path / "two", [a_trial(0, [0.5, 0.6])])
    write_comparison([one, two], tmp_path / "new" / "comparison.html")
    page = (tmp_path / "new" / "comparison.html").read_text(encoding="utf-8")
    curve = page[page.index("<svg") : page.index("</svg>")]
    assert "stroke: var(--stopped)" in curve, "the second colour, as in the key"
    assert "stroke: var(--done)" not in curve


def test_one_run_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--compare with 1 runs: give 2 to 6"):
        write_comparison([write_run(tmp_path / "one", [])], tmp_path / "comparison.html")


def test_a_run_of_an_older_release_has_a_page(tmp_path: Path) -> None:
    """Records had neither rungs, nor workers, nor finalists."""
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5])])
    for file, names in ((paths.study, ("rungs", "test_openings")), (paths.trial_record(0), ("worker", "seed"))):
        record = json.loads(file.read_text())
        file.write_text(json.dumps({name: value for name, value in record.items() if name not in names}))
    assert "50.00 %" in page_of(paths)


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", many_trials(12)))
    references = re.findall(r'\b(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert references, "the drawings refer to their own parts"
    assert [reference for reference in references if not reference.startswith("#")] == []
    assert "@import" not in page
    assert "<script" not in page
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_what_a_user_named_is_escaped(tmp_path: Path) -> None:
    trials = [
        a_trial(0, [0.5], optimizer="<script>alert(1)</script>"),
        a_trial(1, [0.6], optimizer='"><script>x'),
        a_trial(2, state=TrialState.FAILED, reason="<script>reason"),
    ]
    classes = ("<script>class", "a & b")
    page = page_of(write_run(tmp_path / "run", trials, class_names=classes, skipped=("<script>.png",)))
    assert "<script" not in page
    for escaped in ("&lt;script&gt;class, a &amp; b", "&lt;script&gt;reason", "&lt;script&gt;.png"):
        assert escaped in page


STILL = [a_trial(0, [0.5], TrialState.RUNNING), a_trial(1, state=TrialState.RUNNING)]
FAILED = [a_trial(number, state=TrialState.FAILED, reason="no such layer") for number in range(3)]


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([], "No trial has finished an epoch."),
        ([a_trial(0, state=TrialState.RUNNING)], "1 trial still ran when this page was written"),
        (FAILED, "no such layer 0, 1, 2"),
        (STILL, "2: 2 still running"),
        ([a_trial(0, [0.5])], "drawn from 8 ranked trials on, and so is their importance"),
        ([a_trial(number, [0.5]) for number in range(8)], "No hyperparameter took more than one value"),
        ([a_trial(number, [0.5]) for number in range(8)], "so no importance follows from them"),
        ([a_trial(0, [1.0]), a_trial(1, [1.0], units=7)], "100.00 %"),
        ([a_trial(0, [0.3], TrialState.FAILED, "diverged")], "30.00 %"),
    ],
)
def test_any_run_has_a_page(tmp_path: Path, trials: list[TrialRecord], said: str) -> None:
    paths = write_run(tmp_path / "run", trials)
    text = text_of(page_of(paths))
    assert said in text
    assert ("Learning curves" in text) == any(trial.epochs for trial in trials)
    assert len(paths.leaderboard.read_text().splitlines()) == 1 + len(trials)


def test_the_next_commands_quote_the_run_and_are_relative_where_they_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_run(tmp_path / "my run", [a_trial(0, [0.5])])
    assert f"export.py &#39;{tmp_path}/my run&#39; --out model.keras" in page_of(paths)
    monkeypatch.chdir(tmp_path)
    assert "export.py &#39;my run&#39; --out model.keras" in page_of(paths)


def test_the_model_of_another_driver_is_exported_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [a_trial(0, [0.5]), replace(a_trial(1, [0.6]), driver="other")]
    paths = write_run(tmp_path / "run", trials)
    assert "in that one&#39;s run directory, RUN:\npython scripts/export.py RUN --out" in page_of(paths)
    print_summary(paths)
    assert "export.py RUN --out" in capsys.readouterr().out


def test_without_a_model_there_is_nothing_to_export(tmp_path: Path) -> None:
    assert "export.py" not in page_of(write_run(tmp_path / "run", FAILED))


def test_a_page_is_written_again_in_place_and_nothing_else_is_left(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5])])
    first, second = page_of(paths), page_of(paths)
    assert first == second
    assert sorted(file.name for file in paths.root.iterdir()) == [
        "leaderboard.csv",
        "report.html",
        "report.md",
        "study.json",
        "trials",
    ]


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5])])
    paths.trial_record(0).write_text('{"trial": 0}')
    with pytest.raises(UserError, match=r"trial-0000/trial\.json cannot be understood: state: Field required\. "):
        write_report(paths)


def test_a_report_needs_no_cluster_and_no_training_library() -> None:
    heavy = "{'ray', 'optuna', 'keras', 'keras_tuner', 'tensorflow'}"
    code = f"import sys, results.report, results.summary; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_winners_loss_is_shown_without_penalties_where_that_is_recorded(tmp_path: Path) -> None:
    trial = a_trial(0, [0.5, 0.6])
    epochs = tuple(replace(epoch, loss=37.0, cross_entropy=1.5, val_cross_entropy=1.25) for epoch in trial.epochs)
    page = page_of(write_run(tmp_path / "run", [replace(trial, epochs=epochs)]))
    assert "Cross-entropy, without the penalties on weights" in page
    assert 'aria-label="Cross-entropy of the winner against its epochs"' in page
    assert "penalties on weights and label smoothing are in it" in page_of(write_run(tmp_path / "older", [trial]))
