"""URLs that users have the server call: what may be one, wherever it is written."""

from urllib.parse import urlsplit

from tidegate.apimachinery.errors import FieldError, invalid, required

URL_LIMIT = 2048


def url_faults(path: str, url: str) -> list[FieldError]:
    """What is wrong with an http or https URL in the field `path`; nothing is looked up."""
    if not url:
        return [required(path)]
    why = ""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            why = "must be an http or https URL of a host"
        elif parts.username is not None or parts.password is not None:
            why = "must not contain credentials, which everybody who may read this would see"
        elif parts.fragment:
            why = "must not have a fragment, which is not sent"
    except ValueError:
        why = "must be a URL"
    if len(url) > URL_LIMIT or not url.isprintable() or " " in url:
        why = f"must be a URL of at most {URL_LIMIT} characters"
    return [invalid(path, url[:URL_LIMIT], why)] if why else []
