"""Components that are not raicho's: what somebody else would write, and put beside it."""
