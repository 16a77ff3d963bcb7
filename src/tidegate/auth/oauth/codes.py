"""Codes: made when somebody has logged in, exchanged for an access token once.

    authorize -> code, 5 minutes --exchange--> gone, and an access token in its place

Both writes of an exchange are one unit, so that two exchanges of a code cannot both succeed.
"""

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.errors import InvalidTokenRequest
from tidegate.auth.oauth.authorize import AuthorizeRequest
from tidegate.auth.oauth.grant import CodeGrant
from tidegate.auth.oauth.kinds import (
    AUTHORIZE_TOKENS,
    OAuthAccessToken,
    OAuthAuthorizeToken,
    expiry_of,
)
from tidegate.auth.oauth.proof import Challenge, proves
from tidegate.auth.oauth.tokens import FULL, issue, name_of
from tidegate.auth.stored import put_new, read

CODE_LIFETIME = 300
"""Seconds; OpenShift's default, and RFC 6749 section 4.1.2 advises at most ten minutes."""


def put_code(
    tx: DocumentTransaction, code: str, request: AuthorizeRequest, user: User, now: float
) -> None:
    """Make `code` one that the client of `request` may exchange for a token of `user`."""
    made = OAuthAuthorizeToken(
        client_name=request.client.name,
        expires_in=CODE_LIFETIME,
        scopes=[FULL],
        redirect_uri=request.redirect_uri,
        user_name=user.name,
        user_uid=user.uid,
    )
    if request.challenge is not None:
        made.code_challenge = request.challenge.text
        made.code_challenge_method = request.challenge.method
    made.metadata.name = name_of(code)
    put_new(tx, AUTHORIZE_TOKENS, made, now)


def exchange(tx: DocumentTransaction, grant: CodeGrant, token: str, now: float) -> str:
    """Use up the code of `grant` and make `token` an access token; whose it is.

    `InvalidTokenRequest` with invalid_grant says nothing of which part did not fit.
    """
    name = name_of(grant.code)
    document = tx.get(Key(AUTHORIZE_TOKENS.key, "", name))
    code = read(AUTHORIZE_TOKENS, document) if document is not None else None
    if document is None or code is None or not _fits(code, grant, now):
        raise InvalidTokenRequest("the code cannot be used", "invalid_grant")
    tx.delete(document.key)
    made = OAuthAccessToken(
        client_name=code.client_name,
        redirect_uri=code.redirect_uri,
        user_name=code.user_name,
        user_uid=code.user_uid,
        authorize_token=name,
    )
    issue(tx, token, made, now)
    return code.user_name


def _fits(code: OAuthAuthorizeToken, grant: CodeGrant, now: float) -> bool:
    challenge = None
    if code.code_challenge:
        challenge = Challenge(code.code_challenge, code.code_challenge_method)
    return (
        now < expiry_of(code)
        and code.client_name == grant.client
        and code.redirect_uri == grant.redirect_uri
        and proves(challenge, grant.verifier)
    )
