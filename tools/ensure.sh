#!/bin/sh
# Makes sure that a program the Makefile needs is here: installs it from Debian's packages where that needs no
# password, and otherwise says how to get it.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

missing() {
    echo "lama-server: $1" >&2
    exit 1
}

debian() {
    [ "$(id -u)" -eq 0 ] && have apt-get || return 1
    echo "installing $* from Debian's packages" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

case "$1" in
python)
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        missing "Python 3.11 or newer is needed and '$PYTHON' is not. Name another: make PYTHON=python3.12 ..."
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv ||
        missing "Python's venv module is missing. On Debian and Ubuntu: sudo apt install python3-venv"
    ;;
node)
    { have node && have npm; } || debian nodejs npm ||
        missing "Node.js 18 or newer and npm are needed for the page's checks. Get them from your system's packages."
    ;;
curl)
    have curl || debian curl ca-certificates ||
        missing "curl is needed for the tests of the darktable script. Get it from your system's packages."
    ;;
chromium)
    for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome google-chrome-stable; do
        have "$name" && exit 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0
    debian chromium fonts-dejavu-core ||
        missing "Chromium is needed for the browser tests. Install it, or set CHROMIUM to its path."
    ;;
iopaint)
    # Only its page is needed, which the tests drive against our server: no dependency of it is installed.
    [ -f build/iopaint/iopaint/web_app/index.html ] ||
        "$PYTHON" -m pip --disable-pip-version-check --quiet install --no-deps --target build/iopaint iopaint==1.6.0 ||
        missing "The page of IOPaint 1.6.0 could not be fetched from PyPI; the browser tests drive it."
    ;;
*)
    missing "usage: ensure.sh python|node|curl|chromium|iopaint"
    ;;
esac
