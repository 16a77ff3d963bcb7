"""The kinds of image.openshift.io/v1: wire structs, columns, rules, and a `Resource` for each.

Names of fields, merge keys and texts are OpenShift's, because clients have them compiled in. No
module here reaches a store or a clock, nor knows where the registry is; what is missing for a rule
(another stream, the caller's rights) is checked by whoever writes the object.
"""
