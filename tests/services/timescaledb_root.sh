#!/usr/bin/env bash
# Makes the folder the tests' database runs in: a minimal Debian trixie with PostgreSQL 17 and TimescaleDB (the Apache
# build), and with docker-compose to check docker-compose.yml; shared between clones of this project.
# Prints its path on the last line. Safe to run twice, or at once.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../deploy/setup/common.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/homecare
root=$cache/trixie-1
packages=postgresql-17,postgresql-17-timescaledb,docker-compose

if [ -x "$root/usr/lib/postgresql/17/bin/postgres" ]; then
    echo "$root"
    exit
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # another run may be making it: then it is there afterwards
if [ ! -x "$root/usr/lib/postgresql/17/bin/postgres" ]; then
    command -v debootstrap >/dev/null || apt_install "to make a folder with TimescaleDB for the tests" debootstrap >&2
    # The mirror is the one this machine's apt already uses, so that no address has to be known here.
    mirror=
    if grep -qx 'ID=debian' /etc/os-release; then
        mirror=$(apt-get indextargets --format '$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
            awk '$1 == "main" && $2 !~ /security/ && !seen++ {print $2}')
    fi
    say "making $root (TimescaleDB for the tests; about a minute)" >&2
    new=$(mktemp -d "$cache/new.XXXXXX")
    # shellcheck disable=SC2064 # the name is known now
    trap "as_root rm -rf --one-file-system '$new'" EXIT
    as_root debootstrap --variant=minbase "--include=$packages" trixie "$new" ${mirror:+"$mirror"} |
        sed -u -n -E 's/^I: (Retrieving Packages|Unpacking the base|Configuring required|Installing base|Configuring postgresql-17|Base system).*/    &/p' >&2 ||
        die "debootstrap could not make it; see $new/debootstrap/debootstrap.log"
    as_root rm -rf "$new/var/cache/apt/archives" "$new/var/lib/postgresql/17"
    as_root chmod 755 "$new"
    as_root mv "$new" "$root"
    trap - EXIT
fi
echo "$root"
