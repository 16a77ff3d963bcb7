"""What goes out of the registry: copies of images, and word of what happened to them.

Everything that leaves goes through `remote`. Knows no verb of `/v2/` and no route of an API;
controllers and commands call it. Invariant: whoever reads at the other end never sees half of
anything, however this end stops.
"""
