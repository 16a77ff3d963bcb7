"""Image resolution at admission, for a cluster that asks tidegate before it stores a workload.

`review` is the wire, `workloads` says where objects name images, `resolution` what a name stands
for, `pull_policy` when a node pulls, `decision` puts them together, `endpoint` serves it. What
streams and projects hold comes through the ports of `resolution` and `decision`; only `projects`,
which is behind one of them, reads a store. Invariant: an object is changed only by one JSON patch
over the object as it came.
"""
