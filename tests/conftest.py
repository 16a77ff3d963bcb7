"""Fixtures for every test; starting nothing, so that unit tests pay nothing for them."""

import uuid

import pytest


@pytest.fixture
def repository() -> str:
    """A repository that no other test uses."""
    return f"p{uuid.uuid4().hex[:12]}/app"
