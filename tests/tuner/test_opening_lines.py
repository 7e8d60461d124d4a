"""What a search says of time and disk before it takes them."""

from pathlib import Path

from tuner.config import StudyConfig
from tuner.opening_lines import opening_lines


def test_the_finalists_time_and_the_feature_caches_size_are_said_first(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / "data").open("wb") as file:
        file.truncate(12 * 10**9)
    assert opening_lines(StudyConfig(time_budget="6m", feature_store=tmp_path)) == [
        "Time: 6m00s for the search, then at most 3m00s for the finalists",
        f"Features of frozen layers are cached in {tmp_path}: 12.0 GB now, at most 20 GB (--feature-store-gb)",
    ]


def test_nothing_is_said_of_what_there_is_not(tmp_path: Path) -> None:
    assert opening_lines(StudyConfig(feature_store_gb=0)) == []
    assert opening_lines(StudyConfig(time_budget="6m", finalists=0, feature_store_gb=0)) == []
    (line,) = opening_lines(StudyConfig(feature_store=tmp_path / "none"))
    assert ": 0 MB now" in line
