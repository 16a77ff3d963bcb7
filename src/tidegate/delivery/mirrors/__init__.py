"""Copying images with all that belongs to them, from anywhere to anywhere.

    selection     which tags                                              values
    closure       an image's children, referrers, cosign tags             reads source and target
    copying       blobs, then manifests, then what refers to them, then the tag
    places        what a source and a target can do; one module each for
                  registries, layouts and the streams of this registry
    receipt       what was copied, for people, audits, and the next archive

Invariants: a reader of the target sees an image with everything that it had at the source, or as it
was before; what the target has is not sent again; no byte is believed that was not hashed.
"""
