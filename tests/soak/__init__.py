"""Random streams of messages against a running switch, whose tables must equal those of a model."""
