"""From the bytes of a request to the struct of a kind: JSON, YAML and Kubernetes' protobuf.

`decoder.Decoder` is what endpoints use. Invariant: whatever the bytes are, reading them takes time
and memory in proportion to their length, and ends in a struct or in a 4xx with a sentence.
"""
