"""What was found: reads and writes a run directory. Knows no Ray, so a report or an export needs no cluster."""
