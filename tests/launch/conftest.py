"""The prepared sample of the trainer's tests."""

from tests.train.conftest import corpora  # noqa: F401 - a fixture
