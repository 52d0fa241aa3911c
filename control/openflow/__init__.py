"""The OpenFlow agent: controllers on one side, the dataplane's tables on the other."""
