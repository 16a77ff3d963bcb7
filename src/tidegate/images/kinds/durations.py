"""How long ago, as Docker says it: `5 seconds`, `About a minute`, `2 hours`.

The tables of image.openshift.io have always said it so; scripts that read them know these words.
"""

from tidegate.apimachinery.durations import epoch_seconds

_HOURS = (
    (2 * 24, 1, "hours"),
    (2 * 7 * 24, 24, "days"),
    (2 * 30 * 24, 7 * 24, "weeks"),
    (2 * 365 * 24, 30 * 24, "months"),
)
"""Up to so many hours, counted in units of so many, called this."""


def ago(timestamp: str, now: float) -> str:
    """`2 hours ago`; nothing for a time that is not known."""
    try:
        return f"{human(now - epoch_seconds(timestamp))} ago"
    except ValueError:
        return ""


def human(seconds: float) -> str:
    """A duration in one unit, rounded as Docker rounds it."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    return _long(seconds)


def _long(seconds: float) -> str:
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for below, unit, name in _HOURS:
        if hours < below:
            return f"{hours // unit} {name}"
    return f"{int(seconds) // 3600 // 24 // 365} years"
