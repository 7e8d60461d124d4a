"""How the search runs: the study, and Ray's searcher, scheduler and trials."""
