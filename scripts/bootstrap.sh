#!/usr/bin/env bash
# Installs what the portal needs, and nothing that is already there.
#   scripts/bootstrap.sh run     what it needs to run
#   scripts/bootstrap.sh test    that, and what its tests need
# Debian packages come by apt, as root or through sudo; elsewhere the missing ones are named. Python packages go into .venv at
# the pinned versions, checked by hash. When nothing changed since the last time, it looks at stamps and does no work.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }
die() { say "plumbline: $*"; exit 1; }

set_name=${1:-run}
case "$set_name" in
    run | test) ;;
    *) die "usage: scripts/bootstrap.sh run|test" ;;
esac

# Alternatives are separated by "|": the first is Debian 12's name, the others those of its neighbours.
run_packages=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)
test_packages=('chromium|chromium-browser' libatomic1 'postgresql-15|postgresql-16|postgresql-17|postgresql-18' poppler-utils
    'default-jre-headless|openjdk-17-jre-headless' libjaxb-java)

# ---------------------------------------------------------------- Debian packages

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

is_any_installed() {
    local name
    for name in ${1//|/ }; do
        if is_installed "$name"; then return 0; fi
    done
    return 1
}

# A Python of 3.11 or later that can make virtual environments; pyenv's is as good as Debian's.
find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

missing_packages() {
    local wanted=("${run_packages[@]}") entry
    if [ "$set_name" = test ]; then wanted+=("${test_packages[@]}"); fi
    for entry in "${wanted[@]}"; do
        is_any_installed "$entry" || printf '%s\n' "$entry"
    done
    [ -x .venv/bin/python ] || find_python >/dev/null || printf 'python3-venv\n'
}

# The first alternative that this release offers.
choose() {
    local name
    for name in ${1//|/ }; do
        if [ -n "$(apt-cache policy "$name" 2>/dev/null | sed -n 's/^  Candidate: \(.*[0-9].*\)/\1/p')" ]; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    die "this release offers none of: ${1//|/, }"
}

as_root=()
apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
    local entries names=() entry
    mapfile -t entries < <(missing_packages)
    if [ "${#entries[@]}" = 0 ]; then return 0; fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing packages: ${entries[*]%%|*}. Install them as root (there is no sudo), then try again."
        as_root=(sudo)
    fi
    say "plumbline: installing ${entries[*]%%|*} (by apt${as_root[0]:+, through sudo})"
    # The password is asked for here, where one sees it, and not behind the log below.
    if [ "${#as_root[@]}" != 0 ]; then sudo --validate || die "sudo was refused; install these packages as root: ${entries[*]%%|*}"; fi
    local log
    log=$(mktemp)
    apt_get update >"$log" 2>&1 || { cat "$log" >&2; die "apt-get update failed"; }
    for entry in "${entries[@]}"; do
        names+=("$(choose "$entry")")
    done
    apt_get install -y --no-install-recommends "${names[@]}" >"$log" 2>&1 || { cat "$log" >&2; die "apt-get install failed"; }
    rm -f "$log"
}

# Where there is no apt we cannot install, only say what is missing.
name_missing() {
    local missing=()
    find_python >/dev/null || missing+=("Python 3.11 or later with venv")
    if command -v ldconfig >/dev/null; then
        local library
        for library in libpango-1.0 libpangoft2-1.0 libharfbuzz-subset; do
            ldconfig -p | grep -q "$library" || missing+=("$library")
        done
    fi
    if [ "$set_name" = test ]; then
        command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=("Chromium")
        command -v pdftotext >/dev/null || missing+=("poppler-utils")
        command -v java >/dev/null || missing+=("a Java runtime (17 or later)")
        command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=("PostgreSQL 15 or later (server)")
    fi
    if [ "${#missing[@]}" != 0 ]; then
        die "this is neither Debian nor Ubuntu; please install: $(printf '%s; ' "${missing[@]}")"
    fi
}

# ---------------------------------------------------------------- Python packages

# What an environment was made from: a stamp with the same words means that nothing is left to do.
fingerprint() {
    printf '%s\n' "$PWD" "$("$venv/bin/python" -VV)"
    sha256sum -- pyproject.toml "$@"
}

# uv is quicker; where it cannot reach the registry, pip does the same with the same hashes.
install_pins() {
    local pins=()
    local file
    for file in "$@"; do pins+=(-r "$file"); done
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes "${pins[@]}" 2>"$venv/uv.log" && return 0
    say "plumbline: uv gave up ($(tail -n 1 "$venv/uv.log")); trying pip"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "${pins[@]}"
}

install_venv() {
    local pins=(requirements/run.txt) stamp python
    if [ "$set_name" = test ]; then pins+=(requirements/test.txt requirements/dev.txt); fi
    stamp=$venv/.stamp-$set_name

    # A virtual environment knows its own path: one that was moved or whose Python went away is made anew.
    if [ -d "$venv" ] && ! { grep -q "$PWD/$venv/" "$venv/bin/pip" && "$venv/bin/python" -c ''; } 2>/dev/null; then
        rm -rf "$venv"
    fi
    if [ -f "$stamp" ] && [ "$(fingerprint "${pins[@]}")" = "$(cat "$stamp")" ]; then return 0; fi

    if [ ! -x "$venv/bin/python" ]; then
        python=$(find_python) || die "no Python of 3.11 or later with venv was found"
        say "plumbline: making .venv with $("$python" -V)"
        "$python" -m venv "$venv"
    fi
    say "plumbline: installing the pinned Python packages ($set_name)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
    install_pins "${pins[@]}"
    # "compat": one line with our path, so that a package added later is found without installing again.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --config-settings editable_mode=compat -e .
    fingerprint "${pins[@]}" >"$stamp"
}

venv=.venv
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then install_packages; else name_missing; fi
install_venv
