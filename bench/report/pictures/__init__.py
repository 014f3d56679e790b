"""Pictures of a run, by matplotlib: each module draws those of one question."""
