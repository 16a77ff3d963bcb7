"""The values of the OCI distribution and image specifications.

Digests, names, media types, descriptors, manifests and ranges: how each is written, read and
refused. Pure: no I/O, no clock, no HTTP status, standard library only. A value that exists is
valid; text becomes a value through `parse`, which raises an error of `tidegate.oci.errors` with a
sentence for the client.
"""
