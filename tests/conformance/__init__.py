"""The OpenFlow 1.3 switch tests of Ryu, run against raicho or Open vSwitch."""
