"""Who is told, over HTTP, of what happens to tags: webhooks, and streams of events for consoles.

    outbox, listeners (metastore)  ->  telling: filter, message, signature, call  ->  told, or later

Invariants: an event is told in the order of commits and at least once, until its listener has tried
it often enough; then it is a dead letter that can be replayed. Nothing that is told holds up a push
or another listener. No secret is in a status, a log or a dead letter.
"""
