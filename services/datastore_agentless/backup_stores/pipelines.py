"""The shell of a backup's way on its node: what both ways share, what sends and what receives. For bash, 4.4 and later.

Each is the rest of a script whose first lines set its variables (transfer.py). Bash, because plain sh cannot say that a command
in the middle of a pipeline has failed. Parts lie in `work`: the spool where a carrier comes for them, else a folder beside the
job, which nobody else knows. Whoever handles a part is a process in the background, `spooled` of them at most, so that the
engine is read on meanwhile. URLs and identities are in bash's memory alone: `printf` is a builtin, and shows in no argument list.
"""

SHARED = r"""
work=${spool:-parts}
cd "$(dirname "$0")"
mkdir -p "$(dirname "$work")"
# Whoever carries may write there until the session notices: a folder of another name gets nothing new, so it can be emptied.
drop() { rm -rf "$work.gone"; [ ! -e "$work" ] || { mv -T "$work" "$work.gone" && rm -rf "$work.gone"; }; }
drop
mkdir -m 700 "$work"
teller= summing=
clean_up() { [ -z "$teller$summing" ] || kill $teller $summing 2>/dev/null || true; drop; }
trap clean_up EXIT
trap 'exit 143' TERM INT HUP
say() { echo "dtrove: $*" >&2; }

# rest BEGAN WHAT: let a moment pass, a longer one each time; not for ever, and not where the job has ended meanwhile.
pause=0.05
rest() {
  [ $((SECONDS - $1)) -lt "$patience" ] || { say "$2 within $patience s"; exit 4; }
  [ -d "$work" ] || exit 1
  sleep "$pause"
  case $pause in 0.05) pause=0.1;; 0.1) [ $((SECONDS - $1)) -lt 10 ] || pause=1;; esac
}

# ask NUMBER URL INTO ARGUMENTS: one request to the store, again and again where it stumbles. What it answers is left in INTO, the
# headers in head.NUMBER.
ask() {
  local number=$1 url=$2 into=$3 began=$SECONDS nap=1 good code said
  shift 3
  while :; do
    good=yes
    code=$(printf 'url = "%s"\n' "$url" | curl --config - --silent --show-error --connect-timeout 15 --speed-limit 1000 \
      --speed-time "$silence" --dump-header "$work/head.$number" --output "$into" --write-out '%{http_code}' "$@" \
      2>"$work/error.$number") || good=no
    case $good$code in yes2*) return;; esac
    said=$(sed -n 's:.*<Code>\([^<]*\)</Code>.*<Message>\([^<]*\)</Message>.*:\1, \2:p' "$into" 2>/dev/null |
      head -c 300) || true
    # Source: Amazon S3, "Error responses": these two speak of a line that was slow or broke.
    case $said in RequestTimeout*|IncompleteBody*) code=408;; esac
    case $code in
      # Source: Swift's middleware `ratelimit`: 498 is its word for "too fast".
      408|429|498) ;;
      4*)
        [ -n "$said" ] || said=$(head -c 1000 "$into" | sed 's/<[^>]*>/ /g' | tr -s '[:space:]' ' ' | head -c 300) || true
        say "the store refuses part $number: $code $said"
        exit 3
        ;;
    esac
    [ $((SECONDS - began)) -lt "$patience" ] || {
      say "the store did not take or give part $number within $patience s: $code $said $(head -c 300 "$work/error.$number")"
      exit 4
    }
    [ -d "$work" ] || exit 1
    sleep "$nap"
    nap=$((nap < 30 ? nap * 2 : 60))
  done
}
"""

SEND = r"""
mapfile -t given
login=${given[0]} urls=("${given[@]:1}")
# What the engine's command has to tell beside its data goes to 7, and is a line of the job's output.
exec < /dev/null 7>&1
: > "$work/count"

# How many bytes have come so far, in dd's own words.
counted() { tail -c 300 "$work/count" | tr '\r' '\n' | sed -n 's/^\([0-9][0-9]*\) byte.*/\1/p' | tail -n 1; }
tell() { while sleep 2; do echo "read $(counted)"; done; }

upload() {
  local url=${urls[$1-1]:-}
  [ -n "$url" ] || { say "there is more to send than was expected: no place is left for part $1"; exit 3; }
  ask "$1" "$url" "$work/answer.$1" --upload-file "$work/part.$1" --header 'Expect:'
  tag=$(tr -d '\r"' < "$work/head.$1" | sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' | tail -n 1)
  rm -f "$work/part.$1" "$work/head.$1" "$work/answer.$1" "$work/error.$1"
}

# The carrier takes what has a name like this, and removes it once it is safe.
hand_over() {
  local name began=$SECONDS
  printf -v name '%06d-%s-%s' "$1" "$2" "$3"
  mv "$work/part.$1" "$work/$name"
  while [ -e "$work/$name" ]; do rest "$began" "nobody has fetched part $1"; done
}

deliver() {
  local sum tag=
  sum=$(sha256sum < "$work/part.$1")
  sum=${sum%% *}
  if [ ${#urls[@]} -gt 0 ]; then upload "$1"; else hand_over "$1" "$2" "$sum"; fi
  echo "part $1 $2 $sum $tag"
}

# Where there is a limit, what came too soon is made up for after each part.
hold_back() {
  local due
  [ "$rate" -gt 0 ] || return 0
  due=$(($1 / rate))
  while [ $((SECONDS - began)) -lt "$due" ]; do sleep 0.5; done
}

cut_up() {
  local number=0 size=0 total=0 began=$SECONDS one pids=()
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  while :; do
    number=$((number + 1))
    [ "$number" -le "$spooled" ] || wait "${pids[number - spooled]}"
    head -c "$part_bytes" > "$work/part.$number"
    size=$(stat -c %s "$work/part.$number")
    [ "$size" -gt 0 ] || break
    deliver "$number" "$size" &
    pids[number]=$!
    total=$((total + size))
    hold_back "$total"
  done
  rm -f "$work/part.$number"
  for ((one = number > spooled ? number - spooled + 1 : 1; one < number; one++)); do wait "${pids[one]}"; done
}

tell &
teller=$!
sealed() { if [ -n "$recipient" ]; then age -r "$recipient"; else cat; fi; }
stream() { dump | dd bs=1M status=progress 2> "$work/count" | zstd -T0 -3 -q -c | sealed; }
if [ "$summed" = yes ]; then
  mkfifo "$work/all"
  sha256sum < "$work/all" > "$work/sum" &
  summing=$!
  stream | tee "$work/all" | cut_up
  wait "$summing"
  read -r sum _ < "$work/sum"
  echo "sum $sum"
else
  stream | cut_up
fi
echo "size $(counted)"
"""

RECEIVE = r"""
mapfile -t given
exec < /dev/null 4>&1
identity=${given[0]} login=${given[1]} urls=("${given[@]:2}")
echo 1 > "$work/next"

# Which part that is, and of which backup where there are several; for people.
named() {
  local left=$1 one=0
  while [ "$left" -gt "${counts[one]}" ]; do left=$((left - counts[one])) one=$((one + 1)); done
  echo "part $left${names[one]:+ of ${names[one]}}"
}

download() {
  local url=${urls[$1-1]}
  case $url in
    *' '*) ask "$1" "${url%% *}" "$work/part.$1" --range "${url#* }";;
    *) ask "$1" "$url" "$work/part.$1";;
  esac
}

await() {
  local began=$SECONDS
  until [ -e "$work/part.$1" ]; do rest "$began" "nobody has brought part $1"; done
}

# What comes is looked at; one that is not as it was stored is asked for once more, for a line may have spoiled it. `damaged` is for
# whoever started this, and tells the part by its number.
fetch() {
  local size=${parts[$1-1]%:*} sum=${parts[$1-1]#*:} seen why=
  for _ in once more; do
    if [ ${#urls[@]} -gt 0 ]; then download "$1"; else await "$1"; fi
    seen=$(stat -c %s "$work/part.$1")
    [ "$seen" = "$size" ] || { why="it has $seen bytes in place of $size"; rm -f "$work/part.$1"; continue; }
    seen=$(sha256sum < "$work/part.$1")
    [ "${seen%% *}" = "$sum" ] || { why='its SHA-256 is another'; rm -f "$work/part.$1"; continue; }
    return 0
  done
  say "$(named "$1") is not as it was stored: $why"
  echo "damaged $1" >&2
  exit 5
}

# Who carries parts here brings those from `next` on; it moves before a part goes, or the same one would be brought again.
feed() {
  local number begun=0 count=${#parts[@]} fed=0 pids=()
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  for ((number = 1; number <= count; number++)); do
    while ((begun < count && begun < number + spooled - 1)); do
      begun=$((begun + 1))
      fetch "$begun" >&4 &
      pids[begun]=$!
    done
    wait "${pids[number]}"
    cat "$work/part.$number"
    fed=$((fed + ${parts[number - 1]%:*}))
    echo "read $fed" >&4
    echo $((number + 1)) > "$work/next.new"
    mv "$work/next.new" "$work/next"
    rm -f "$work/part.$number"
  done
}

# What is loaded may end before the stream does: the rest is read, for whoever writes it must not be cut off.
unsealed() { if [ -n "$identity" ]; then age -d -i <(printf '%s\n' "$identity"); else cat; fi; }
open_up() { unsealed | zstd -d -q -c | { load "$1"; cat > /dev/null; }; }
if [ ${#sizes[@]} = 1 ]; then
  feed | open_up 1
else
  feed | { for ((one = 0; one < ${#sizes[@]}; one++)); do head -c "${sizes[one]}" | open_up $((one + 1)); done; }
fi
"""
