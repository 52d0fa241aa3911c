"""A skip is a failure where nobody reads skips."""

from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

RULES = Path(__file__).with_name("conftest.py").read_text("utf-8")
SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="needs the moon")
def test_with_a_mark(): ...

def test_from_inside():
    pytest.skip("needs the sun")

@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    assert False
"""
IMPORT = """
import pytest
pytest.importorskip("no_such_module")
"""


def _outcome(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    pytester.makeconftest(RULES)
    pytester.makepyfile(body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_a_person_sees_skips_with_their_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = _outcome(pytester, SKIPPED, "-rs")
    result.assert_outcomes(skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(["*needs the moon*"])


def test_ci_sees_failures_with_the_same_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = _outcome(pytester, SKIPPED)
    result.assert_outcomes(failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*CI=true does not allow*needs the moon*"])


def test_ci_sees_a_module_that_skips_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = _outcome(pytester, IMPORT)
    result.assert_outcomes(errors=1)
