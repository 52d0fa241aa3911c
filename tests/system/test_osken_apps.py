"""Applications of os-ken do their jobs on the switch: what Ryu brought to everybody (K17)."""

from .conftest import ADDRESSES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping, reached
from .rest import DATAPATH, Application

pytestmark = needs("ping")

SWITCH = f"{DATAPATH:016x}"  # as the applications write it


def _reached(site: Site, source: int = 0, address: str = ADDRESSES[1]) -> bool:
    return reached(site.hosts[source], address)


def test_simple_switch_13_learns_where_hosts_are(site: Site) -> None:
    application = Application(site, "simple_switch_13")
    wait_until(lambda: _reached(site), "the first ping")
    assert ping(site.hosts[1], ADDRESSES[0], "-c", "20", "-i", "0.01").lost == 0
    assert f"packet in {DATAPATH} " in application.log.read_text()
    assert site.switch.cli("show", "flows").count("priority=1,") == 2
    assert application.errors() == []


def test_rest_firewall_permits_and_denies(site: Site) -> None:
    """Its rules become flows, its log packet-ins; nothing passes without a rule."""
    firewall = Application(site, "rest_firewall")
    firewall.wait_for("Join as firewall")
    assert firewall("GET", "/firewall/module/status") == [
        {"status": "disable", "switch_id": SWITCH}
    ]
    firewall("PUT", f"/firewall/module/enable/{SWITCH}")
    assert not _reached(site)
    firewall.wait_for("Blocked packet")
    rules = f"/firewall/rules/{SWITCH}"
    there, back = (
        {"nw_src": f"{source}/32", "nw_dst": f"{target}/32", "nw_proto": "ICMP"}
        for source, target in (ADDRESSES, ADDRESSES[::-1])
    )
    for rule in (there, back):
        (said,) = firewall("POST", rules, rule)
        assert said["command_result"][0]["result"] == "success"
    wait_until(lambda: _reached(site), "the firewall to permit")
    (shown,) = firewall("GET", rules)
    listed = shown["access_control_list"][0]["rules"]
    assert {(rule["nw_src"], rule["nw_dst"], rule["actions"]) for rule in listed} == {
        (ADDRESSES[0], ADDRESSES[1], "ALLOW"),
        (ADDRESSES[1], ADDRESSES[0], "ALLOW"),
    }
    firewall("POST", rules, {**there, "actions": "DENY", "priority": "10"})
    assert not _reached(site)
    (shown,) = firewall("GET", rules)
    (deny,) = (r for r in shown["access_control_list"][0]["rules"] if r["actions"] == "DENY")
    firewall("DELETE", rules, {"rule_id": str(deny["rule_id"])})
    wait_until(lambda: _reached(site), "the firewall to permit again")
    assert firewall.errors() == []


def test_rest_router_routes_between_subnets(site: Site) -> None:
    """Its addresses are gateways of the hosts; a static route leads to a network behind one."""
    h1, h2 = site.hosts
    for host, address in ((h1, "10.1.0.1"), (h2, "10.2.0.1")):
        host.ip("address", "flush", "dev", "eth0")
        host.ip("address", "add", f"{address}/24", "dev", "eth0")
        host.ip("route", "add", "default", "via", address.rpartition(".")[0] + ".254")
    h2.ip("address", "add", "10.3.0.1/32", "dev", "lo")
    router = Application(site, "rest_router")
    router.wait_for("Join as router")
    path = f"/router/{SWITCH}"
    for network in ("10.1.0.254/24", "10.2.0.254/24"):
        (said,) = router("POST", path, {"address": network})
        assert said["command_result"][0]["result"] == "success", said
    wait_until(lambda: _reached(site, 0, "10.1.0.254"), "the gateway to answer")
    wait_until(lambda: _reached(site, 0, "10.2.0.1"), "h1 to reach h2")
    assert "ttl=63" in h1.run("ping", "-c", "1", "10.2.0.1")
    assert ping(h2, "10.1.0.1", "-c", "20", "-i", "0.01").lost == 0
    assert not _reached(site, 0, "10.3.0.1")
    (said,) = router("POST", path, {"destination": "10.3.0.0/24", "gateway": "10.2.0.1"})
    assert said["command_result"][0]["result"] == "success", said
    wait_until(lambda: _reached(site, 0, "10.3.0.1"), "the static route")
    (shown,) = router("GET", path)
    (network,) = shown["internal_network"]
    assert [row["address"] for row in network["address"]] == ["10.1.0.254/24", "10.2.0.254/24"]
    (route,) = network["route"]
    router("DELETE", path, {"route_id": str(route["route_id"])})
    wait_until(lambda: not _reached(site, 0, "10.3.0.1"), "the static route to go")
    assert _reached(site, 0, "10.2.0.1")
    assert router.errors() == []
