#!/usr/bin/env bash
# From nothing to a green suite: install what the tests need, check the source, run the tests, then the browser stories.
# A failure does not hide what comes after it; the exit status is that of the whole.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

scripts/bootstrap.sh test || exit 1
PATH=$PWD/.venv/bin:$PATH
mkdir -p artifacts
# Tests start many processes: each would compile every module anew where it may not keep what it compiled.
unset PYTHONDONTWRITEBYTECODE

failed=()
# The checks have a core to themselves only where they run beside the tests; what they found is said at the end of those.
scripts/check.sh >artifacts/check.log 2>&1 &
checking=$!
pytest tests --numprocesses=auto --dist=worksteal --junitxml=artifacts/tests.xml || failed+=(tests)
wait "$checking" || failed+=(check)
cat artifacts/check.log
# One browser at a time: two would share the two cores and time out by turns.
pytest e2e --junitxml=artifacts/e2e.xml || failed+=(e2e)

if [ "${#failed[@]}" != 0 ]; then
    printf 'make test: failed: %s\n' "${failed[*]}"
    exit 1
fi
