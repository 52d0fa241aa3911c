"""The text of a configuration, and where things are in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.cli.document import BadText, Document, write
from raicho.control.datastore.library import library_of, shipped_modules
from raicho.control.datastore.tree import Tree, from_config, to_config

from ..configurations import trees

ROOT = library_of(shipped_modules(), []).root

TEXT = """\
{
  "raicho:raicho": {
    "port": [
      {"name": "p1", "kind": "null"},
      {
        "name": "p2",
        "kind": "memory",
        "queue": [{"id": 1}, {"id": 2,
          "priority": 3}]
      }
    ],
    "bridge": [{"name": "br0", "openflow-version": [
      "1.0",
      "1.3"]}], "worker": []
  }
}
"""


@given(tree=trees(ROOT))
def test_what_is_written_reads_back(tree: Tree) -> None:
    """D2: load(save(x)) == x, for every configuration that the types allow."""
    text = write(to_config(ROOT, tree))
    assert from_config(ROOT, Document(text).data) == tree


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/", 1),
        ("/raicho", 2),
        ("/raicho/port", 3),
        ("/raicho/port[name='p1']/kind", 4),
        ("/raicho/port[name='p2']", 5),
        ("/raicho/port[name='p2']/kind", 7),
        ("/raicho/port[name='p2']/queue[id='2']", 8),
        ("/raicho/port[name='p2']/queue[id='2']/priority", 9),
        ("/raicho/port[name='p2']/device", 5),
        ("/raicho/port[name='p3']/device", 3),
        ("/raicho/bridge[name='br0']/openflow-version[.='1.3']", 14),
        ("/raicho/worker[id='1']", 14),
        ("no path", 1),
    ],
)
def test_a_path_has_a_line(path: str, line: int) -> None:
    """Also one that is not there: then that of what it would lie in."""
    assert Document(TEXT).line(path) == line


@given(data=st.recursive(st.none() | st.text() | st.integers(-9, 9), st.lists, max_leaves=20))
def test_every_value_has_the_line_where_it_begins(data: Any) -> None:
    """Compared with the obvious: one value a line, counted."""
    text = write({"top": data})
    values = [line for _, line in Document(text)._places()]
    begins = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip().rstrip(",") not in ("]", "}")
    ]
    assert sorted(set(values)) == begins


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "Expecting value"),
        ('{\n"a": 1,,\n}', 2, "column 8"),
        ("[]", 1, "an object"),
        ('{"a": 1,\n "b": {"c": 1,\n "c": 2}}', 3, "'c' is there twice"),
        ('{"a":\n NaN}', 2, "NaN is no number"),
        ('{"a":\n 18446744073709551616}', 2, "18446744073709551616 is no number"),
        ('{"a": ' + "1" * 5000 + "}", 1, "is no number"),
        ('{"a":\n "\\ud83d"}', 2, "half of a surrogate pair"),
        ('{"a": ' + "[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_a_text_that_is_no_configuration_is_refused_with_its_line(
    text: str, line: int, reason: str
) -> None:
    with pytest.raises(BadText, match=reason) as bad:
        Document(text)
    assert bad.value.line == line


@given(st.text(alphabet='{}[]",:\\ \n01aud8'))
def test_whatever_comes_in_is_read_or_refused(text: str) -> None:
    try:
        Document(text).line("/raicho/port")
    except BadText as error:
        assert 1 <= error.line <= text.count("\n") + 1
