#!/usr/bin/env bash
# Format, lint, types and floors. Every check runs, so that one look shows all that is wrong.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH

failed=()
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'check: %-6s  in order\n' "$name"
    else
        printf 'check: %-6s  FAILED\n%s\n' "$name" "$output"
        failed+=("$name")
    fi
}
check format ruff format --check .
check lint ruff check .
check types mypy
check floors lint-imports --no-logo --no-cache
if [ "${#failed[@]}" != 0 ]; then
    printf 'check: failed: %s\n' "${failed[*]}"
    exit 1
fi
