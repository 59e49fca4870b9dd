"""Many networks: evolution, tuning, the record of each evaluation and the journal of all."""
