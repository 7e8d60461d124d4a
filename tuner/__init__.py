"""How the search runs: data, trials, searcher, scheduler, and the study that puts them together."""
