"""RegistriesInForce: what all the configuration of other registries comes to.

Read at `images/cluster/inforce` of config.openshift.io; computed, never stored. OpenShift has not
got it: there one looks into the files of the nodes.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, Time, Wire, doc


class MirrorsInForce(Wire):
    """A source and what stands for it, of all sets that name it."""

    source: Annotated[str, doc("What references name.")]
    mirrors: Annotated[list[str], doc("What is asked instead, in this order.")] = field(
        default_factory=list
    )
    contact_source: Annotated[bool, doc("Whether the source itself is asked in the end.")] = field(
        default_factory=bool
    )


class AuthorityInForce(Wire):
    """A certificate that is believed for a registry."""

    registry: Annotated[str, doc("HOST, or HOST:PORT.")]
    subject: Annotated[str, doc("Whose certificate it is.")] = field(default_factory=str)
    expires: Annotated[Time, doc("Until when it is good.")] = ""


class Ignored(Wire):
    """An entry that means nothing, and so is of no effect."""

    object: Annotated[str, doc("RESOURCE/NAME of the object that it is in.")]
    entry: Annotated[str, doc("The entry.")] = field(default_factory=str)
    reason: Annotated[str, doc("What is wrong with it.")] = field(default_factory=str)


class RegistriesInForce(Object):
    """RegistriesInForce says what the configuration of other registries comes to."""

    imports_from: Annotated[
        list[str], doc("HOST:PORT that users may import from, as globs; *:* is all.")
    ] = field(default_factory=list)
    insecure: Annotated[
        list[str], doc("Registries that are asked without TLS, or with a bad certificate.")
    ] = field(default_factory=list)
    blocked: Annotated[list[str], doc("Registries that nothing is fetched from.")] = field(
        default_factory=list
    )
    allowed: Annotated[
        list[str], doc("The only registries that anything is fetched from; none is all.")
    ] = field(default_factory=list)
    digest_mirrors: Annotated[list[MirrorsInForce], doc("Mirrors for references by digest.")] = (
        field(default_factory=list)
    )
    tag_mirrors: Annotated[list[MirrorsInForce], doc("Mirrors for references by tag.")] = field(
        default_factory=list
    )
    authorities: Annotated[
        list[AuthorityInForce], doc("Certificates that are believed beside the system's.")
    ] = field(default_factory=list)
    import_mode: Annotated[str, doc("importMode of new tags that say none.")] = ""
    external_hostnames: Annotated[
        list[str], doc("HOST[:PORT] under which streams say that they are reached.")
    ] = field(default_factory=list)
    ignored: Annotated[list[Ignored], doc("Entries that are of no effect.")] = field(
        default_factory=list
    )
