"""Configuration of other registries: what may be imported, from where, and by whom it is vouched.

    Image/cluster, mirror sets, a ConfigMap of certificates
        -> compiling: documents to values, the bad entries left out and told of
        -> config: those values as of now, in every process

The kinds are OpenShift's, in its groups; nothing here calls anybody.
"""
