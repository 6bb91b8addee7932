#!/bin/sh
# Print the path of the newest supported Python (3.11 to 3.13), or of all of them with --all. Exits 1 where there is none.
set -u
check='import sys; print(sys.executable); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
found=1
for name in ${DTROVE_PYTHON:-} python3.11 python3.12 python3.13 python3; do
    command -v "$name" >/dev/null 2>&1 || continue
    # A version manager's shim may stand for a Python that is not switched on: ask it, and go on where it declines.
    path=$("$name" -c "$check" 2>/dev/null) || continue
    case "${seen:-} " in *" $path "*) continue ;; esac
    seen="${seen:-} $path"
    echo "$path"
    found=0
    [ "${1:-}" = --all ] || exit 0
done
exit "$found"
