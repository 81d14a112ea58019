#!/usr/bin/env bash
# From nothing to a portal on this machine: install, migrate, load the demo cloud into a new database once, serve.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/bootstrap.sh run
PATH=$PWD/.venv/bin:$PATH

# The demo goes only into a database that this script saw being made, never beside somebody's own records. The mark outlives
# an interruption, so that the next start finishes what was begun.
pending=instance/.demo-pending
if [ -z "${DATABASE_URL:-}" ] && [ ! -e instance/plumbline.db ]; then
    mkdir -p instance
    touch "$pending"
fi
plumbline db upgrade
if [ -e "$pending" ]; then
    plumbline demo
    rm -f "$pending"
fi
exec plumbline run --host "${HOST:-127.0.0.1}" --port "${PORT:-8000}"
