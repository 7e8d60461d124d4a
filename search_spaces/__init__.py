"""What may vary: search spaces in KerasTuner's vocabulary. Knows no Ray, no Optuna and no files of a run."""
