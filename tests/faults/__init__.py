"""A search broken on purpose: real processes, real signals, real disks."""
