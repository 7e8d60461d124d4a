from results.leaderboard import leaderboard
from results.paths import RunPaths
from results.records import read_study, read_trials
from results.whole_file import write_text


def write_report(paths: RunPaths) -> None:
    frame = leaderboard(read_trials(paths), read_study(paths).hyperparameters)
    write_text(paths.leaderboard, frame.to_csv(index=False))
