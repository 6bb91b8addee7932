#!/bin/sh
# Makes the root file system of a local host as a tar file: stock Debian with sshd, from the machine's own apt sources.
# Usage: recipe.sh OUTPUT.tar SUITE MIRROR
set -eu
output=$1 suite=$2 mirror=$3
packages=openssh-server,sudo,iproute2,iputils-ping,procps,ca-certificates,e2fsprogs,apt-utils,netbase
exec mmdebstrap --variant=minbase --mode=auto --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='force-unsafe-io' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --customize-hook='install -D -m 0755 "$DTROVE_ENTRY" "$1/usr/local/sbin/dtrove-host"' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*' \
  --customize-hook='for f in $DTROVE_COPY; do mkdir -p "$1$(dirname "$f")"; cp -aL "$f" "$1$f"; done' \
  --customize-hook='printf "Binary::apt::APT::Keep-Downloaded-Packages \"true\";\nAPT::Keep-Downloaded-Packages \"true\";\n" > "$1/etc/apt/apt.conf.d/90dtrove"' \
  --customize-hook='chroot "$1" apt-get update -qq || true' \
  --skip=cleanup/apt "$suite" "$output" "$mirror"
