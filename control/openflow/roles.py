"""Which controller of a bridge is master, and who is told what (section 6.3.5).

Without I/O; the sessions of a bridge share one Roles.
"""

from typing import Protocol

from .errors import RemoteError
from .spec.errors import RoleRequestFailed, reason
from .spec.messages import MessageType, Role, SetAsync

UNDEFINED = 0xFFFFFFFFFFFFFFFF  # the generation in a reply before there was one
HALF = 1 << 63

#: What a controller is sent until it says otherwise: packet-ins but those for an
#: invalid TTL, port-status and flow-removed; as a slave, port-status only.
DEFAULT_ASYNC = SetAsync(
    packet_in_master=0b011,
    packet_in_slave=0,
    port_status_master=0b111,
    port_status_slave=0b111,
    flow_removed_master=0b1111,
    flow_removed_slave=0,
)


class Asynchronous:
    """A kind of message that is sent unasked."""

    def __init__(self, kind: MessageType, reason_at: int, name: str) -> None:
        self.kind = kind
        self.reason_at = reason_at  # offset of the reason in the message
        self.master, self.slave = f"{name}_master", f"{name}_slave"

    def mask(self, wanted: SetAsync, role: Role) -> int:
        """Return the reasons that a controller in *role* wants to hear."""
        mask: int = getattr(wanted, self.slave if role is Role.SLAVE else self.master)
        return mask


ASYNCHRONOUS = {
    "packet_in": Asynchronous(MessageType.PACKET_IN, 14, "packet_in"),
    "port_status": Asynchronous(MessageType.PORT_STATUS, 8, "port_status"),
    "flow_removed": Asynchronous(MessageType.FLOW_REMOVED, 18, "flow_removed"),
}


class Holder(Protocol):
    """A session, as far as roles go."""

    role: Role


class Roles:
    """The roles of the controllers of one bridge."""

    def __init__(self) -> None:
        self.generation: int | None = None
        self.master: Holder | None = None

    def request(self, holder: Holder, role: int, generation: int) -> Role:
        """Give *holder* a role and return it; a new master demotes the old one."""
        try:
            wanted = Role(role)
        except ValueError:
            raise RemoteError(f"role {role}", reason(RoleRequestFailed.BAD_ROLE), 8) from None
        if wanted in (Role.MASTER, Role.SLAVE):
            self._advance(generation)
        if wanted is not Role.NOCHANGE:
            self._give(holder, wanted)
        return holder.role

    def forget(self, holder: Holder) -> None:
        """Let go of a session that is closed."""
        if self.master is holder:
            self.master = None

    def _advance(self, generation: int) -> None:
        """Take a generation that is not older; they wrap round."""
        if self.generation is not None and generation - self.generation & UNDEFINED >= HALF:
            text = f"generation {generation} is older than {self.generation}"
            raise RemoteError(text, reason(RoleRequestFailed.STALE), 16)
        self.generation = generation

    def _give(self, holder: Holder, role: Role) -> None:
        if role is Role.MASTER:
            if self.master is not None and self.master is not holder:
                self.master.role = Role.SLAVE
            self.master = holder
        else:
            self.forget(holder)
        holder.role = role
