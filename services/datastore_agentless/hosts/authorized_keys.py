"""Lets a key in to a host for a while, a person's or a replica's, and shuts it out again.

Each line says until when it holds, in sshd's own words (sshd(8), `expiry-time`), and what put it there: so a
line that nobody takes away is dead all the same, and goes with the next change.
"""

from __future__ import annotations

from services.datastore_agentless.hosts.base import Run, Script, quote

MARK = "dtrove-access-"

# awk: drop the lines of the operation in hand, and those of ours whose time is over; keep everything else as it is.
_KEEP = r"""{
  at = index($0, " MARK"); if (at == 0) { print; next }
  if (substr($0, at + 1) == mine) next
  if (match($0, /expiry-time="[0-9]+"/) && substr($0, RSTART + 13, RLENGTH - 14) "" < now "") next
  print
}""".replace("MARK", MARK)

_CHANGE = """set -e
user={user}; home=$(getent passwd "$user" | cut -d: -f6)
[ -n "$home" ] || {{ echo "there is no user $user" >&2; exit 1; }}
umask 077; folder="$home/.ssh"; file="$folder/authorized_keys"; draft="$file.dtrove-new"
mkdir -p "$folder"; touch "$file"; exec 9< "$folder"; flock -w 20 9
now=$(date +%Y%m%d%H%M%S); until=$(date -d "@$(($(date +%s) + {seconds}))" +%Y%m%d%H%M%S)
awk -v now="$now" -v mine={mark} {keep} "$file" > "$draft"
{add}chown "$(id -u "$user"):$(id -g "$user")" "$folder" "$draft"
mv "$draft" "$file"
"""


def admit(user: str, public_key: str, minutes: int, access: str, options: str = "") -> Script:
    """Let `public_key` log in as `user` for `minutes`; `access` is the operation's id, or the name of a copy. Repeating is harmless.

    `options` are more of sshd's, each with a comma before it.
    """
    mark = MARK + access
    words = quote(options), quote(f"{public_key} {mark}")
    add = f'printf \'expiry-time="%s"%s %s\\n\' "$until" {" ".join(words)} >> "$draft"\n'
    yield Run(_change(user, mark, add, minutes * 60), title=f"let a key in for {minutes} min")


def shut_out(user: str, access: str) -> Script:
    """Take away the key that the operation `access` let in; harmless where it is gone."""
    yield Run(_change(user, MARK + access), title="shut a key out")


def _change(user: str, mark: str, add: str = "", seconds: int = 0) -> str:
    return _CHANGE.format(user=quote(user), mark=quote(mark), keep=quote(_KEEP), add=add, seconds=seconds)
