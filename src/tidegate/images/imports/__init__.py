"""Importing: a tag of a stream comes to name an image of another registry, found there.

    planning     which images a request or a stream's tags want: decisions on values
    fetching     manifests and configurations over the network, nothing written
    storing      what was fetched as rows of a repository, in a unit of work
    applying     what became of each tag: spec, events, conditions, in that unit
    importing    the three together: `Importer`, one in a process
    storage      imagestreamimports, by which clients import
    tag_imports  `TagImports`, by which controllers do

An imported image is a push whose blobs are elsewhere: its manifests are content of the repository,
with an Image each, and say with their origin where their blobs are read from. So a pull of a
manifest never asks another registry. Invariant: nothing is written of an image of which not every
manifest came and has its digest.
"""
