"""Identity providers and CI systems as they are configured, and everything built on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import httpx
import msgspec

from tidegate.auth.keys import KeyRing
from tidegate.auth.oidc.ci import CiIssuer, check_ci_issuers
from tidegate.auth.oidc.exchange import CiTokens
from tidegate.auth.oidc.keys import IssuerKeys
from tidegate.auth.oidc.logins import OidcIssuer, OidcLogins, check_issuers
from tidegate.auth.users.groups import GroupIndex
from tidegate.metastore import users
from tidegate.metastore.database import Database
from tidegate.remote.https import HttpsDocuments

I = TypeVar("I", OidcIssuer, CiIssuer)  # noqa: E741  an issuer


def oidc_issuers(tables: Sequence[Mapping[str, Any]]) -> tuple[OidcIssuer, ...]:
    """Identity providers of the settings' `[[oidc]]` tables; `ValueError` says what to change."""
    issuers = tuple(_issuer(table, OidcIssuer) for table in tables)
    check_issuers(issuers)
    return issuers


def ci_issuers(tables: Sequence[Mapping[str, Any]]) -> tuple[CiIssuer, ...]:
    """CI systems of the settings' `[[ci]]` tables; `ValueError` says what to change."""
    issuers = tuple(_issuer(table, CiIssuer) for table in tables)
    check_ci_issuers(issuers)
    return issuers


def _issuer(table: Mapping[str, Any], kind: type[I]) -> I:
    unknown = sorted(set(table) - {each.name for each in fields(kind)})
    if unknown:  # a misspelt `require` must not let everybody in
        raise ValueError(f"an issuer has no setting {', '.join(unknown)}")
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"issuer {table.get('name', '')!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class Issuers:
    """Those that are configured, with what fetches their keys; `close` it in the end."""

    oidc: tuple[OidcIssuer, ...]
    ci: tuple[CiIssuer, ...]
    documents: Mapping[str, HttpsDocuments]  # by the file of authorities

    @classmethod
    def open(
        cls,
        oidc: Sequence[OidcIssuer],
        ci: Sequence[CiIssuer],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> "Issuers":
        """Ready to fetch keys, of which none is fetched before it is needed."""
        files = {each.ca_file for each in oidc} | {each.ca_file for each in ci}
        return cls(
            tuple(oidc), tuple(ci), {file: HttpsDocuments(file, transport) for file in files}
        )

    async def close(self) -> None:
        for each in self.documents.values():
            await each.close()

    def logins(self, database: Database, groups: GroupIndex) -> OidcLogins:
        """The logins of identity providers."""

        async def is_local(name: str) -> bool:
            return await users.find(database, name) is not None

        return OidcLogins(self.oidc, self._keys(self.oidc), groups.of, is_local)

    def tokens(self, ring: KeyRing, groups: GroupIndex) -> CiTokens:
        """The exchange of CI jobs' tokens."""
        return CiTokens(self.ci, self._keys(self.ci), ring, groups.of)

    def _keys(self, issuers: Sequence[OidcIssuer] | Sequence[CiIssuer]) -> dict[str, IssuerKeys]:
        return {
            each.name: IssuerKeys(each.issuer, self.documents[each.ca_file].fetch)
            for each in issuers
        }
