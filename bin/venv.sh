# Sourced by bin/run and bin/test from the root of the checkout: makes .venv and keeps it in step with the requirements.
# venv <demo|dev> installs requirements-<name>.txt unless exactly that was installed before.

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "Carillon needs Python 3.11 or newer, and none was found. Install it, or name it: PYTHON=/path/to/python3 $0" >&2
    return 1
}

make_venv() {
    local python
    python="$(find_python)"
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        echo "$python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
    echo "Making .venv with $("$python" --version)…"
    rm -rf .venv
    "$python" -m venv .venv || { rm -rf .venv; return 1; }
}

# What is installed depends on these files and on the interpreter, and on nothing else.
fingerprint() {
    local files=(requirements.txt requirements-demo.txt)
    [ "$1" = dev ] && files+=(requirements-dev.txt)
    { .venv/bin/python --version; cat "${files[@]}"; } | cksum
}

venv() {
    local stamp=".venv/installed-$1"
    .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || make_venv || return 1
    if [ "$(fingerprint "$1")" = "$(cat "$stamp" 2>/dev/null)" ]; then
        return
    fi
    echo "Installing requirements-$1.txt (only when it changed)…"
    # Wheels only: a missing compiler must never be what stops a newcomer.
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --requirement "requirements-$1.txt"; then
        echo "The installation failed; the lines above say why. It needs a network and a platform with wheels" >&2
        echo "(Linux or macOS on x86-64 or Arm). Run $0 again to go on." >&2
        return 1
    fi
    fingerprint "$1" >"$stamp"
    if [ "$1" = dev ]; then
        fingerprint demo >.venv/installed-demo # it is a part of dev
    fi
}
