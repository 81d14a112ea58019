"""The sandbox: a provider that lives in our own database, for development and tests. Its pages are `portal.sandbox`."""
