"""A limit of memory, in a process of its own, as it stays with the process."""

import subprocess
import sys

import pytest

TAKE = """
import resource
from raicho.control.component import memory
held = bytearray(64 * memory.MIB)
limit = memory.in_use() // memory.MIB + 64
memory.take(limit)
assert memory.limit() == limit
"""

#: How what is in use comes to be more than the limit, as by what the kernel counts otherwise.
PASS = """
resource.setrlimit(resource.RLIMIT_DATA, (outside := (limit + 1024) * memory.MIB, memory.HARD))
more = bytearray(128 * memory.MIB)
assert memory.in_use() > limit * memory.MIB
"""

CASES = {
    "nothing else is done": "memory.take(limit)\nassert memory.limit() == limit",
    "a passed limit is no objection": PASS + "assert memory.objection(limit) is None",
    "a passed limit is not lifted": PASS
    + "memory.take(limit)\nassert memory.limit() == limit + 1024",
    "a changed one is judged": PASS
    + "assert 'less than it has in use' in memory.objection(limit - 1)",
    "none lifts it": "memory.take(None)\nassert memory.limit() is None",
}


@pytest.mark.parametrize("case", CASES)
def test_only_a_limit_that_changes_is_judged_and_set(case: str) -> None:
    """C14: what is in use may be more than the limit when a commit is about something else."""
    text = TAKE + CASES[case]
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
