"""What a search says of time and disk before it takes them."""

from results.feature_cache import gigabytes, used
from results.wording import duration
from tuner.config import StudyConfig


def opening_lines(config: StudyConfig) -> list[str]:
    """Return a line for the finalists' time, where it is limited, and one for the feature cache, where there is one."""
    lines = []
    if config.finalists and config.time_budget is not None and config.finalists_budget is not None:
        lines.append(
            f"Time: {duration(config.time_budget)} for the search, then at most {duration(config.finalists_budget)} "
            "for the finalists"
        )
    if config.feature_store_gb:
        lines.append(
            f"Features of frozen layers are cached in {config.feature_store.expanduser()}: "
            f"{gigabytes(used(config.feature_store))} now, at most {config.feature_store_gb:g} GB (--feature-store-gb)"
        )
    return lines
