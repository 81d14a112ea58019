#!/usr/bin/env bash
# Pins requirements/*.in with hashes. No line names a registry, so that any mirror serves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for name in run test dev bench; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header "$@" \
        "requirements/$name.in" -o "requirements/$name.txt"
done
