"""Users, groups and identities: group user.openshift.io, and who belongs to which group."""
