"""Image-change triggers: a tag moves, and the workloads that follow it get its image.

    annotation, openshift_triggers   what a workload follows      workload   one as it was read
    policies, decision               when it may                  planning   what to write, or why not
    tags                             what a tag names now         index      who follows which tag
    targets                          the port to where workloads are: stored here, or in a cluster
    reconciling                      one workload brought to what its tags name
    journal, proposals               what is told of it: events, ImageChanges, audit, webhooks

Decisions are plain functions on values, with the time as an argument. Level-triggered: a workload is
compared with its tags, whatever woke it, so that nothing is lost when a process dies, and nothing is
done twice. Invariant: an image is only ever written to the very version of a workload that was read.
"""
