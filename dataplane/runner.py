"""A worker and its thread."""

import logging
import os
import threading

from .config import WorkerConfig
from .worker import Worker

log = logging.getLogger(__name__)


class Runner:
    """Runs a worker, where and how its configuration says."""

    def __init__(self, worker: Worker, config: WorkerConfig) -> None:
        self.worker = worker
        self.config = config
        self._thread = threading.Thread(target=self._run, name=f"worker-{config.id}", daemon=True)
        worker.mode, worker.spin = config.mode, config.spin

    def start(self) -> None:
        """Let it forward."""
        self._thread.start()

    def configure(self, config: WorkerConfig) -> None:
        """Move it to its processor; let it sleep when it is to."""
        self.worker.mode, self.worker.spin = config.mode, config.spin
        moved, self.config = config.cpu != self.config.cpu, config
        if moved and self._thread.native_id is not None:
            self._bind(self._thread.native_id)

    def halt(self) -> None:
        """Let it forward no more."""
        if self._thread.is_alive():
            self.worker.stop()
            self._thread.join()

    def stop(self) -> None:
        """Halt it and let go of its memory; its ports must be detached."""
        self.halt()
        self.worker.close()

    def _run(self) -> None:
        if self.config.cpu is not None:
            self._bind(0)
        self.worker.run()

    def _bind(self, thread: int) -> None:
        """Bind a thread (0: the one that calls); without its processor it runs on any."""
        cpu = self.config.cpu
        wanted = os.sched_getaffinity(os.getpid()) if cpu is None else {cpu}
        try:
            os.sched_setaffinity(thread, wanted)
        except OSError as error:
            log.warning("worker %d is not bound to processor %s: %s", self.config.id, cpu, error)
