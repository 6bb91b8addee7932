#!/bin/bash
# Copies the table, under the time of day. Usage: my_backup.sh CONFIG.
# shellcheck disable=SC1090
set -eu
. "$1"
mkdir -p "$home/backups"
copy="$home/backups/$(date -u +%Y%m%dT%H%M%S%N)"
cp "$home/rows" "$copy.new"
mv "$copy.new" "$copy"
echo "$copy"
