"""The command line: `raicho ...`."""
