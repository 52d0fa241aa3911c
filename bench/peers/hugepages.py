"""Huge pages for as long as a peer runs: reserved in memory, given back afterwards."""

from pathlib import Path

PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


class HugePages:
    """So many pages of 2 MiB more than there were."""

    def __init__(self, count: int) -> None:
        self._before = int(PAGES.read_text())
        wanted = self._before + count
        PAGES.write_text(str(wanted))
        if (found := int(PAGES.read_text())) < wanted:
            self.close()
            raise MemoryError(f"{found - self._before} of {count} huge pages of 2 MiB to be had")

    def close(self) -> None:
        """Give them back."""
        PAGES.write_text(str(self._before))
