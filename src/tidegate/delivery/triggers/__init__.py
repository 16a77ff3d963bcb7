"""Image-change triggers: a tag moves, and the workloads that follow it get its image.

    annotation, openshift_triggers   what is followed
    workload, reading, pod           an object as it was read
    policies, decision, planning     when it may change, what to write, or why not
    tags, index                      what a tag names now, and who follows it
    targets                          the port to where workloads are: stored here, or in a cluster
    reconciling, telling             one workload brought to what its tags name, and word of it

Decisions are plain functions on values, with the time as an argument. Level-triggered: a workload
is compared with its tags, whatever woke it, so that nothing is lost when a process dies, and
nothing is done twice. Invariant: an image is only ever written to a workload whose triggers and
images are those that it was decided for.
"""
