"""The HTTP connection under the application: bytes between socket and file without a Python loop.

Knows no registry, no digest and no path. An application that uses it stays plain ASGI.
"""
