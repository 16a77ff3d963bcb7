"""An issuer in memory: its documents, its keys, and tokens of every sort, wrong ones included."""

import base64
import json
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeyParameters, OKPKey, RSAKey

from tidegate.auth.oidc.keys import IssuerKeys
from tidegate.remote.errors import RemoteError

ISSUER = "https://issuer.example"
NOW = 1_767_323_045.0


@cache
def key(kind: str, kid: str) -> Key:
    """A private key, made once."""
    parameters: KeyParameters = {"kid": kid}
    if kind == "RSA":
        return RSAKey.generate_key(2048, parameters)
    if kind == "EdDSA":
        return OKPKey.generate_key("Ed25519", parameters)
    return ECKey.generate_key(kind, parameters)


@dataclass
class Provider:
    """Serves its documents as `fetch`; `down` has it answer nothing."""

    issuer: str = ISSUER
    keys: list[Key] = field(default_factory=lambda: [key("P-256", "k1")])
    down: bool = False
    fetched: list[str] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)

    def issuer_keys(self) -> IssuerKeys:
        return IssuerKeys(self.issuer, self.fetch)

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.down:
            raise RemoteError(f"{url}: no answer")
        published = {
            f"{self.issuer}/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
            },
            f"{self.issuer}/keys": {
                "keys": [{**each.as_dict(private=False), "use": "sig"} for each in self.keys]
            },
            **self.documents,
        }
        return json.dumps(published[url]).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of an ID token, without those changed to None."""
        claims = {
            "iss": self.issuer,
            "sub": "1234",
            "aud": "tidegate",
            "exp": int(NOW) + 300,
            "iat": int(NOW),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        signer: Key | None = None,
        algorithm: str = "ES256",
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        signer = signer or self.keys[-1]
        head = {"alg": algorithm, "kid": signer.kid, "typ": "JWT", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        content = json.dumps(self.claims(**changes)).encode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            return jws.serialize_compact(head, content, signer, registry=registry)


def b64(content: bytes | dict[str, Any]) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
