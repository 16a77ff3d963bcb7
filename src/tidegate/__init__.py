"""tidegate: an OCI registry with OpenShift's image management, in one program."""

__version__ = "0.1.0"
