"""New images reach workloads in steps, and go back by themselves when they do badly.

A Rollout is a gate of image triggers (`triggers.reconciling.Gate`): workloads get what their tag
names by their triggers, and a Rollout of that tag says for which of them it is not yet time. What
decides is a state machine on values (`machine`), what looks and acts is `driving`.
"""
