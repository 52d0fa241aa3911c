"""yanglint of libyang, as a referee: what it says of modules and of configurations.

It is told all its commands at once, so that thousands of documents cost one process.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

needs_yanglint = pytest.mark.skipif(
    shutil.which("yanglint") is None, reason="needs yanglint, of Debian's libyang2-tools"
)

_FAILED = re.compile(r'Failed to parse input data file "(\d+)\.json"')


NONE: Mapping[str, str] = {}


class Referee:
    """Modules in a folder of their own, and documents that are judged by them.

    Those of *imports* are there for others to import.
    """

    def __init__(
        self, folder: Path, modules: Mapping[str, str], imports: Mapping[str, str] = NONE
    ) -> None:
        self.folder = folder
        self._names = list(modules)
        for name, text in {**modules, **imports}.items():
            (folder / f"{name}.yang").write_text(text, "utf-8")

    def complaints_of_modules(self) -> str:
        """Return what is wrong with the modules; nothing if all are loaded."""
        said = self._told(f"add {name}.yang" for name in self._names)
        return "" if all(f"I {name}@" in said for name in self._names) else said

    def refused(self, documents: Iterable[Any]) -> dict[int, str]:
        """Return the numbers of the documents that are no configuration, and what is said of each.

        Whether all were looked at shows in one more, which nobody could accept.
        """
        texts = [json.dumps(document, ensure_ascii=False) for document in documents]
        texts.append("nonsense")
        for number, text in enumerate(texts):
            (self.folder / f"{number}.json").write_text(text, "utf-8")
        loading = (f"add {name}.yang" for name in self._names)
        judging = (f"data -t config {number}.json" for number in range(len(texts)))
        said = self._told([*loading, *judging])
        words = _FAILED.split(said)
        found = {int(number): why for why, number in zip(words[::2], words[1::2], strict=False)}
        assert found.pop(len(texts) - 1), said[-1000:]
        return found

    def _told(self, commands: Iterable[str]) -> str:
        done = subprocess.run(
            ["yanglint"],
            input="\n".join([*commands, "list", "exit", ""]),
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=True,
        )
        return done.stdout
