"""Small kinds that are stored for others to read: ConfigMaps, Events, quotas and limits.

One module per kind: its wire struct, its columns, its rules, and its `Resource`. No module here
reaches a store, a clock or another room's kinds; what a kind means is decided by whoever reads it.
"""
