#!/usr/bin/env bash
# Format, lint, types and floors. Every check runs, so that one look shows all that is wrong.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH

failed=()
check() {
    local name=$1
    shift
    printf '%-8s' "$name"
    "$@" || failed+=("$name")
}
check format ruff format --check .
check lint ruff check --quiet .
check types mypy
check floors lint-imports --no-cache
if [ "${#failed[@]}" != 0 ]; then
    printf 'check: failed: %s\n' "${failed[*]}"
    exit 1
fi
echo 'check: format, lint, types and floors are in order'
