"""What `pipeline` measures beside raicho, on the same workload and in turn with it.

An opponent has one or more turns: the ways in which it can be set up, the best of which counts.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol, Self

from .churn import Churn
from .controller import Controller
from .floor import Floor
from .peers.ovs_dpdk import CACHES, MOST_FRAMES, OvsDpdk
from .peers.testpmd import Testpmd
from .rig import Rig
from .standing import Standing
from .workload import Workload, at_rest

WARM_UP = 150.0  # seconds at most; how fast the peer lets flows in is not limited by work alone
WARM_AGAIN = 10.0  # the same before each turn: it stood still, and its caches are others
TOO_COLD = 1e-3  # of the packets: above it the figure is one of misses, and compared with nothing

Turns = Mapping[str, Callable[[float], float]]
NOTHING: Mapping[str, str] = MappingProxyType({})


class Opponent(Protocol):
    """Something that carries the packets of a workload; `with` starts and ends it."""

    turns: Turns
    faults: Mapping[str, str]  # by turn: why its figure is not what it should be

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Site(Standing):
    """Open vSwitch with DPDK with the rules of a workload, and the controller that wrote them."""

    turns: Turns = MappingProxyType({})
    faults: Mapping[str, str] = NOTHING

    def __init__(self, workload: Workload, core: int) -> None:
        super().__init__()
        self._workload = workload
        self._controller = self._closing.enter_context(Controller())
        self.switch = OvsDpdk(core)
        self._closing.callback(self.switch.close)

    def _set_up(self) -> None:
        self.switch.start(self._controller.port)
        self._controller.accept()
        self._controller.write(self._workload.rules)

    def churn(self) -> Churn:
        """The flow-mods that go on meanwhile."""
        return Churn(self._workload.churn, self._controller.write)


class Warm(Site):
    """It has seen the packets before: the first of them made flows of its datapath."""

    def _set_up(self) -> None:
        super()._set_up()
        self.switch.feed(self._workload.frames)
        with self.switch.running():
            self.switch.warm_up(WARM_UP)
        churn = self.churn()
        self._faults: dict[str, str] = {}
        self.faults = self._faults
        self.turns = {caches: partial(self._turn, caches, churn) for caches in CACHES}

    def _turn(self, caches: str, churn: Churn, seconds: float) -> float:
        with self.switch.running():
            self.switch.use(caches)
            if not self._workload.churn:  # whose flow-mods make it forget for ever
                self.switch.warm_up(WARM_AGAIN)
            found = self.switch.rate(seconds, churn.run)
        if self.switch.missed > TOO_COLD and not self._workload.churn:
            self._faults[caches] = f"not warm, {self.switch.missed:.1%} missed"
        return found


class New(Site):
    """Every packet is of a flow that it has not seen: each turn begins with an empty datapath."""

    def _set_up(self) -> None:
        super()._set_up()
        self.turns = {caches: partial(self._turn, caches) for caches in CACHES}
        self.switch.feed(self._workload.frames, repeat=False)

    def _turn(self, caches: str, seconds: float) -> float:
        with self.switch.running():
            self.switch.use(caches)
            self.switch.feed_again()
            return self.switch.first_rate(seconds)


def cold(workload: Workload, core: int, caches: str, seconds: float) -> float:
    """Start it for this turn alone; return its rate from the first packet on."""
    with Site(workload, core) as site:
        site.switch.use(caches)
        site.switch.feed(workload.frames)
        return site.switch.first_rate(seconds)


class Ceiling:
    """testpmd: it looks at no packet."""

    faults = NOTHING

    def __init__(self, workload: Workload, core: int) -> None:
        self._testpmd = Testpmd(workload.frames, core)
        self.turns: Turns = {"": self._testpmd.rate}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._testpmd.close()


class Yardstick(Floor):
    """The plain C pipeline with the flows of a workload."""

    faults = NOTHING

    def __init__(self, workload: Workload, core: int) -> None:
        super().__init__(workload.frames, core)
        self.turns: Turns = {"": self.rate}


class AtRest(Rig):
    """raicho with the rules of a workload that nobody changes."""

    faults = NOTHING

    def __init__(self, workload: Workload, core: int) -> None:
        super().__init__(at_rest(workload), core)
        self.turns: Turns = {"": self.rate}


class Kind(NamedTuple):
    """How an opponent is started, which workloads it can take, and what it needs."""

    start: Callable[[Workload, int], Opponent]
    takes: Callable[[Workload], bool]
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def _ovs_dpdk(workload: Workload, core: int) -> Opponent:
    return (New if workload.once else Warm)(workload, core)


KINDS = {
    "floor": Kind(Yardstick, lambda workload: workload.floor),
    "at rest": Kind(AtRest, lambda workload: bool(workload.churn)),
    "ovs-dpdk": Kind(
        _ovs_dpdk,
        lambda workload: workload.once or len(workload.frames) <= MOST_FRAMES,
        (OvsDpdk.PROGRAM, "ovsdb-server", "ovs-vsctl"),
        ("openvswitch-switch-dpdk", "librte-net-pcap23", "librte-net-null23"),
    ),
    "testpmd": Kind(
        Ceiling,
        lambda workload: len(workload.frames) <= MOST_FRAMES,
        ("dpdk-testpmd",),
        ("dpdk-dev", "librte-net-pcap23", "librte-net-null23"),
    ),
}
PEERS = ("ovs-dpdk", "testpmd")
ALWAYS = ("floor", "at rest")
