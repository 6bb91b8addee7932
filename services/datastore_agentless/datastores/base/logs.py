"""The script that reads a piece of a log: some bytes from a known place, or the end of the file. It only looks.

However large the file is, no more than the piece is read: `tail -c +N` of a file goes to the byte and begins there.
"""

from __future__ import annotations

import base64
import binascii

from services.datastore_agentless.domain.reading import BEHIND_BYTES, FIRST_BYTES, MOST_BYTES, Piece, Place
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

READ_SECONDS = 5.0

# Prints the file's inode, the piece's first byte and the file's size, then the piece in base64. What is left of a file that
# was renamed meanwhile comes before the new one's beginning.
_READ = """f={path}; known={inode}; at={offset}; most={most}
[ -f "$f" ] || {{ echo '0 0 0'; exit 0; }}
there() {{ set -- $(stat -c '%i %s' "$1" 2>/dev/null); inode=${{1:-0}}; size=${{2:-0}}; }}
there "$f"
if [ $known -eq 0 ]; then at=$((size>most ? size-most : 0))
elif [ $inode -ne $known ]; then
  old=$f.1; there "$old"
  if [ $inode -eq $known ] && [ $size -gt $at ]; then f=$old; else there "$f"; at=0; fi
elif [ $size -lt $at ]; then at=0
fi
[ $((size-at)) -le {behind} ] || at=$((size-most))
echo "$inode $at $size"
tail -c +$((at+1)) "$f" | head -c $((size-at<most ? size-at : most)) | base64 -w 0"""
_SAMPLE = b"a simulated log begins\nand has two lines\n"


def read(path: str, place: Place | None) -> Script:
    """Read on from a place, or the end of the log; returns a Piece. Raises CommandFailed where it cannot be read."""
    script = _READ.format(path=quote(path), inode=place.inode if place else 0, offset=place.offset if place else 0,
                          most=MOST_BYTES if place else FIRST_BYTES, behind=BEHIND_BYTES)  # fmt: skip
    # A simulated log says no more than it has said at first.
    size = len(_SAMPLE)
    sample = f"1 {size} {size}\n" if place else f"1 0 {size}\n{base64.b64encode(_SAMPLE).decode()}"
    answer = yield Run(script, title="read the log", timeout=READ_SECONDS, changes=False, sample=sample)
    head, _, body = answer.stdout.partition("\n")
    try:
        inode, start, size = map(int, head.split())
        return Piece(inode, start, size, base64.b64decode(body, validate=True))
    except (ValueError, binascii.Error) as error:
        raise CommandFailed(f"what was read of {path} cannot be understood: {head[:120]!r}", code=1,
                            what_to_do="see that stat, tail, head and base64 work on the host") from error  # fmt: skip
