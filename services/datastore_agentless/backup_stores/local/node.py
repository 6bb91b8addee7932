"""The carrier's other half: plain sh on a node, for a session whose standard input brings this script and then its own words.

A shell may read more of its input than the script: so neither side says a word before the script has said its first.
"""

from __future__ import annotations

from services.datastore_agentless.hosts.base import quote

# `part NAME`, and the bytes, for each that the job has put in the spool; a part that is safe is answered with `have NAME`. Answers
# are read beside, so that the next part is on its way meanwhile.
_GIVE = """main() {
  exec 3<&0
  { while read -r word name; do [ "$word" != have ] || rm -f "$spool/$name"; done; kill $$; } <&3 3<&- > /dev/null &
  given= quiet=0
  while :; do
    quiet=$((quiet + 1))
    for file in "$spool"/[0-9]*-*; do
      [ -e "$file" ] || continue
      name=${file##*/}
      case " $given " in *" $name "*) continue;; esac
      { echo "part $name"; cat <&4; } 4< "$file" || continue
      quiet=0 still=
      for one in $given; do [ ! -e "$spool/$one" ] || still="$still $one"; done
      given="$still $name"
    done
    [ "$quiet" = 0 ] || sleep 0.05
    [ $((quiet % 100)) != 1 ] || echo quiet
  done
}
main
"""

# `want NUMBER` is answered with the part's size, a line, and its bytes. The job says in `next` how far it is.
_TAKE = """main() {
  umask 077
  quiet=0
  while :; do
    next=0 want=
    [ ! -e "$spool/next" ] || read -r next < "$spool/next"
    number=$next
    while [ "$next" -gt 0 ] && [ "$number" -lt $((next + spooled)) ] && [ "$number" -le "$count" ]; do
      [ -e "$spool/part.$number" ] || { want=$number; break; }
      number=$((number + 1))
    done
    if [ -z "$want" ]; then
      [ $((quiet % 100)) != 0 ] || echo quiet
      quiet=$((quiet + 1))
      sleep 0.05
      continue
    fi
    echo "want $want"
    read -r size || exit 1
    new="$spool/.new.$$"
    head -c "$size" > "$new" || exit 1
    [ "$(wc -c < "$new")" -eq "$size" ] || { rm -f "$new"; exit 1; }
    mv "$new" "$spool/part.$want"
  done
}
main
"""


def give(spool: str) -> str:
    """Gives what is in the spool, for as long as somebody takes it."""
    return f"spool={quote(spool)}\n{_GIVE}"


def take(spool: str, spooled: int, count: int) -> str:
    """Takes `count` parts for the job that reads the spool, `spooled` ahead of it at most."""
    return f"spool={quote(spool)} spooled={spooled} count={count}\n{_TAKE}"
