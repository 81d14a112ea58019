"""Proofs, each on the lowest floor that can give it: unit (no database), service (both engines), web (through the client)."""
