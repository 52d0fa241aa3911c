"""A slow and obvious OpenFlow 1.3.5 switch: the judge of the fast one.

Written from the OpenFlow Switch Specification 1.3.5 and the RFCs of the headers, and from nothing
else: it shares no code and no table with what it judges.  docs/testing.md lists what it takes for
right where the specification leaves a choice.
"""
