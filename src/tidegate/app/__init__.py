"""The assembly: every part of a serving process, made and joined. Nothing registers itself.

To know what runs, read `assembly.assemble`; what is long in it has a module of its own:
`identities` who somebody is, `api` the resources that are served, `loops` what runs beside
serving, `front` the ASGI application that picks a part by path.
"""
