"""What kinds and endpoints look like, for clients: OpenAPI v2 and v3, from the declarations.

`openapi.OpenApi` makes each document once, when it is first asked for.
"""
