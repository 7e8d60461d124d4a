"""Which hyperparameters mattered, as far as a random forest can tell accuracy from a configuration."""

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from results.figures import COLOURS, STYLE, blank
from results.leaderboard import hyperparameter_columns

FEWEST = 8
"""Ranked trials below which importances would be noise."""
BARS = 12
"""Hyperparameters that are shown one by one."""


def importances(frame: pd.DataFrame) -> pd.Series | None:
    """The share of each hyperparameter in what the forest knows, largest first, from a leaderboard.

    Permutation importance: how much the forest's fit (R²) drops when one hyperparameter's values are shuffled among
    the trials. None with fewer than `FEWEST` ranked trials, with one accuracy only, or where the forest finds nothing.
    """
    ranked = frame[frame["val_accuracy"].notna()]
    names = [name for name in hyperparameter_columns(frame) if ranked[name].nunique(dropna=False) > 1]
    if len(ranked) < FEWEST or ranked["val_accuracy"].nunique() < 2 or not names:
        return None
    drops = _drops(pd.DataFrame({name: _filled(ranked[name]) for name in names}), ranked["val_accuracy"].astype(float))
    total = drops.sum()
    return (drops / total).sort_values(ascending=False, kind="stable") if total > 0 else None


@rc_context(STYLE)
def importance_bars(shares: pd.Series) -> Figure:
    """Horizontal bars, the most important on top, at most `BARS`; the others together are one more."""
    rest = shares.iloc[BARS:]
    if len(rest) > 1:
        shares = pd.concat([shares.iloc[:BARS], pd.Series({f"{len(rest)} others": rest.sum()})])
    upwards = shares.iloc[::-1]
    figure, axes = blank(5.0, 0.3 + 0.22 * len(upwards))
    bars = axes.barh(upwards.index.tolist(), upwards.tolist(), height=0.62, color=COLOURS["done"])
    axes.bar_label(bars, [f"{share:.0%}" for share in upwards], padding=3, fontsize=8.5)
    axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"], labelsize=8.5)
    axes.grid(visible=False)
    axes.margins(x=0.1, y=0.02)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return figure


def _filled(values: pd.Series) -> pd.Series:
    """The column without gaps: not being active is a value of its own, for a number one below all others."""
    if is_numeric_dtype(values) and not is_bool_dtype(values):
        numbers = values.astype("Float64")
        return numbers.fillna(numbers.min() - 1.0).astype(float)
    return values.astype("string").fillna("(not active)").astype(object)


def _drops(configurations: pd.DataFrame, accuracies: pd.Series) -> pd.Series:
    from sklearn.compose import make_column_transformer  # here, because it takes a second and few trials need none
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    words = configurations.select_dtypes(exclude="number").columns.tolist()
    one_hot = make_column_transformer((OneHotEncoder(), words), remainder="passthrough")
    forest = make_pipeline(one_hot, RandomForestRegressor(50, random_state=0)).fit(configurations, accuracies)
    found = permutation_importance(forest, configurations, accuracies, random_state=0)
    return pd.Series(found.importances_mean, index=configurations.columns).clip(lower=0.0)
