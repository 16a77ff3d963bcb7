"""Kubernetes RBAC: roles, bindings, and the answer to "may this user do this?" (DESIGN D6).

`kinds` and `validation` say what the documents are, `rules` and `aggregation` what they mean,
`index` keeps that meaning at hand, `authorizer` answers with it, `escalation` guards the documents,
`reviews` lets users ask, `bootstrap` holds what every installation begins with. Nothing here knows
an image, a token or HTTP. Invariant: nobody gets a right but by a binding that is stored, the group
`system:masters` excepted, which can never be locked out.
"""
