#!/usr/bin/env bash
# Format, lint, types and floors. Every check runs, so that one look shows all that is wrong.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH

said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
names=()
# They run side by side: the types take a minute on one core, and so would everything else after them.
check() {
    local name=$1
    shift
    names+=("$name")
    (
        "$@" >"$said/$name" 2>&1
        echo $? >"$said/$name.status"
    ) &
}
check format ruff format --check .
check lint ruff check .
check types mypy
check floors lint-imports --no-logo --no-cache
wait

failed=()
for name in "${names[@]}"; do
    if [ "$(cat "$said/$name.status" 2>/dev/null)" = 0 ]; then
        printf 'check: %-6s  in order\n' "$name"
    else
        printf 'check: %-6s  FAILED\n%s\n' "$name" "$(cat "$said/$name")"
        failed+=("$name")
    fi
done
if [ "${#failed[@]}" != 0 ]; then
    printf 'check: failed: %s\n' "${failed[*]}"
    exit 1
fi
