"""The validators, each started once per process of the run, with the first document that asks for it."""

from collections.abc import Iterator

import pytest

from billing.invoicing.documents import worker
from tests.einvoice.validators import Validator


@pytest.fixture(scope="session")
def schematron() -> Iterator[Validator]:
    """XSD and schematron of EN 16931."""
    with Validator() as one:
        yield one


@pytest.fixture(scope="session")
def verapdf() -> Iterator[Validator]:
    """veraPDF, in its own process: it has its own virtual machine."""
    with Validator() as one:
        yield one


@pytest.fixture(scope="session")
def printer() -> Iterator[worker.Printer]:
    """One printing process."""
    with worker.Printer() as one:
        yield one
