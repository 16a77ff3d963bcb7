"""OCI image layouts, as a directory or in a tar archive (image-spec, image-layout.md).

    oci-layout            {"imageLayoutVersion": "1.0.0"}
    index.json            what there is, each under `org.opencontainers.image.ref.name`
    blobs/ALG/HEX         manifests, indexes, configurations, layers: all by digest
    ingest/ALG-HEX        a directory only: blobs that are still coming in

What refers to an image is found as in registries without a referrers list: through an index that is
named `ALG-HEX` of its subject. Nothing here is believed: an archive may come from anybody, so names
that lead elsewhere, links and lengths that cannot be are refused, and whatever is read is hashed.
Knows files, and no registry.
"""
