"""What a stream names and another registry has, served as if it were here.

    sources      where a blob may be had, in the name of the stream's project
    fill, fills  blobs on their way in: one process fetches, many clients read meanwhile
    room         which copies are kept
    flow         the part of such a blob that one client is sent
    blobs        the blob endpoint, for what is not linked to a repository
    adopting     a copy becomes a blob of the store, where a push counts on it
    manifests    the manifest endpoint, for what is named and was never stored
    proxies      projects that mirror a registry: their tags, and how fresh those are
    hearing      how long a registry is waited for by who has something stale

Access was decided before any of this is asked, and nothing here is decided by what other projects
have. Invariants: no byte of a blob is kept, nor its last one sent, before its digest is verified;
what is known by digest and kept here never asks another registry.
"""
