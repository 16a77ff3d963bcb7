"""Loops: each calls one function of the room that owns the work, again and again."""
