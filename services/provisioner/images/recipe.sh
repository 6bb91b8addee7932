#!/bin/sh
# Makes the root file system of a local host as a tar file: stock Debian with sshd, from the machine's own apt sources.
# Usage: recipe.sh OUTPUT.tar SUITE MIRROR. DTROVE_FILES is the folder of this file, DTROVE_COPY names files of the machine
# that are copied to the same place in the host.
set -eu
output=$1 suite=$2 mirror=$3
packages=openssh-server,sudo,iproute2,iputils-ping,procps,ca-certificates,e2fsprogs,apt-utils,netbase
# What a backup takes: without them each host's first one would begin with apt.
packages=$packages,zstd,age,curl,mariadb-backup
exec mmdebstrap --variant=minbase --mode=auto --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='force-unsafe-io' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --customize-hook='install -D -m 0755 "$DTROVE_FILES/dtrove-host" "$1/usr/local/sbin/dtrove-host"' \
  --customize-hook='install -D -m 0755 "$DTROVE_FILES/packages" "$1/usr/local/sbin/dtrove-packages"' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*' \
  --customize-hook='case "$DTROVE_COPY" in */etc/apt/sources.*) rm -f "$1/etc/apt/sources.list";; esac' \
  --customize-hook='for f in $DTROVE_COPY; do mkdir -p "$1$(dirname "$f")"; cp -aL "$f" "$1$f"; done' \
  --customize-hook='chroot "$1" apt-get update -qq || true' \
  --customize-hook='chroot "$1" dtrove-packages know' \
  --customize-hook='rm -f "$1"/var/cache/apt/archives/*.deb' \
  --customize-hook='install -m 0644 "$DTROVE_FILES/apt.conf" "$1/etc/apt/apt.conf.d/90dtrove"' \
  --skip=cleanup/apt "$suite" "$output" "$mirror"
