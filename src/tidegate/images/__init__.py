"""Images and image streams: everything of the group image.openshift.io.

An Image is what a manifest is to the API; an image stream names images by tags and keeps the
history of each tag. This room does not know the verbs of `/v2/` and calls nothing above it: who
wants to know of a change watches. Invariant: an Image is never changed in what it says of its
content, and a tag never loses an event of its history but by a deletion that somebody asked for.
"""
