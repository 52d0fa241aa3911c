"""Who the switch is in TLS, and whom it trusts: files that are read again when they change."""

import ssl
from pathlib import Path

import msgspec


class Identity(msgspec.Struct):
    """A private key, its certificate, and the authorities whose certificates are good.

    Both sides must show a certificate.  Names in certificates are not compared:
    a controller is known by an address, and by who signed for it.
    """

    private_key: str
    certificate: str
    ca_certificate: str
    _read: dict[bool, tuple[tuple[int, ...], ssl.SSLContext]] = {}

    def context(self, *, server: bool) -> ssl.SSLContext:
        """Return what the files say now; raise OSError if they say nothing good."""
        stamp = self._stamp()
        known = self._read.get(server)
        if known is None or known[0] != stamp:
            known = self._read[server] = stamp, self._load(server)
        return known[1]

    def _stamp(self) -> tuple[int, ...]:
        files = (self.private_key, self.certificate, self.ca_certificate)
        found = [Path(file).stat() for file in files]
        return tuple(n for stat in found for n in (stat.st_mtime_ns, stat.st_ino, stat.st_size))

    def _load(self, server: bool) -> ssl.SSLContext:
        side = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate, self.private_key, password=_no_password)
        context.load_verify_locations(self.ca_certificate)
        return context


def _no_password() -> str:
    """Refuse a key that is locked, where OpenSSL would ask a terminal."""
    raise OSError("the private key has a password")
