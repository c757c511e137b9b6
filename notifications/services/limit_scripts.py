"""The limits' arithmetic inside Redis: atomic, by the server's clock, one round trip each.

A window is a hash with a count per bucket (a fiftieth of the window), their sum, the oldest and newest bucket, and the
clock it last saw. A bucket counts until its end has left the window, so what is counted is never less than what was
granted in the window, whatever the pattern. The clock of a window only goes forward: when the server's is set back, the
difference is added from then on (`ahead`).

Times are microseconds, as whole numbers below 2^53; they are written with string.format because Lua would round them.
`notifications.services.limit_windows` is the same in Python.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError


class Script:
    """A script that Redis is sent once by each process and then called by name."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()  # Redis's name for it
        self._sent = False

    def __call__(self, client: Redis, keys: Sequence[str | bytes] | Sequence[str], args: Sequence[object]) -> Any:
        """Raises RedisError."""
        if self._sent:
            try:
                return client.evalsha(self.sha, len(keys), *keys, *args)  # type: ignore[arg-type]  # numbers and texts
            except NoScriptError:  # restarted or flushed
                pass
        # Sent unasked the first time: the embedded stand-in for Redis hangs up after an error.
        answer = client.eval(self.source, len(keys), *keys, *args)  # type: ignore[arg-type]  # likewise
        self._sent = True
        return answer

    def looking(self) -> "Script":
        """The same script, except that it answers what it would and writes nothing."""
        if (found := self.source.count(_WRITING)) != 1:
            raise ValueError(f"{found} places say whether this script writes; there must be one.")
        return Script(self.source.replace(_WRITING, _LOOKING))


_WRITING, _LOOKING = "local looking = false", "local looking = true"


_WINDOW = """
local looking = false

local function whole(x) return string.format('%.0f', x) end

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function names(from, to)
  local found = {}
  for bucket = from, to do found[#found + 1] = whole(bucket) end
  return found
end

local function counts(w, found)
  local given = redis.call('HMGET', w.key, unpack(found))
  for i = 1, #found do given[i] = given[i] and tonumber(given[i]) or 0 end
  return given
end

local function drop(w, to)
  local gone = names(w.oldest, to)
  for _, count in ipairs(counts(w, gone)) do w.total = w.total - count end
  if not looking then redis.call('HDEL', w.key, unpack(gone)) end
  w.oldest = to + 1
end

local function open(key, at, span, width)
  local h = redis.call('HMGET', key, 'last', 'ahead', 'total', 'oldest', 'newest')
  for i = 1, 5 do h[i] = h[i] and tonumber(h[i]) or 0 end
  local w = {key = key, span = span, width = width, ahead = h[2], total = h[3], oldest = h[4], newest = h[5]}
  w.now = at + w.ahead
  if w.now < h[1] then
    w.ahead = w.ahead + h[1] - w.now
    w.now = h[1]
  end
  local first = math.floor((w.now - span) / width)
  if w.total > 0 and w.oldest < first then drop(w, math.min(first - 1, w.newest)) end
  return w
end

local function add(w, count)
  if looking or count <= 0 then return end
  local bucket = math.floor(w.now / w.width)
  redis.call('HINCRBY', w.key, whole(bucket), whole(count))
  if w.total == 0 then w.oldest = bucket end
  w.total = w.total + count
  w.newest = bucket
end

-- Microseconds until `need` of what is counted have left the window.
local function until_free(w, need)
  if need <= 0 then return 0 end
  local left = 0
  for i, count in ipairs(counts(w, names(w.oldest, w.newest))) do
    left = left + count
    if left >= need then return (w.oldest + i) * w.width + w.span - w.now end
  end
  return w.span + w.width
end

local function until_empty(w)
  if w.total == 0 then return 0 end
  return (w.newest + 1) * w.width + w.span - w.now
end

local function save(w, keep)
  if looking then return end
  redis.call('HSET', w.key, 'last', whole(w.now), 'ahead', whole(w.ahead), 'total', whole(w.total),
             'oldest', whole(w.oldest), 'newest', whole(w.newest))
  redis.call('PEXPIRE', w.key, whole(math.ceil(keep / 1000)))
end
"""

#: KEYS: windows. ARGV: clock or '', n, field of the line, longest wait, 1 to use up nothing, then cap, span, width of
#: each window. Answers {granted, wait of each window or -1 where it had room for all}.
PROVIDER = Script(f"""{_WINDOW}
local at, n, field, longest = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local windows, granted = {{}}, n
for i, key in ipairs(KEYS) do
  local w = open(key, at, tonumber(ARGV[3 * i + 4]), tonumber(ARGV[3 * i + 5]))
  w.cap = tonumber(ARGV[3 * i + 3])
  w.room = math.max(0, w.cap - w.total)
  granted = math.min(granted, w.room)
  windows[i] = w
end
local answer = {{granted}}
for i, w in ipairs(windows) do
  if ARGV[5] ~= '1' then add(w, granted) end
  answer[i + 1] = -1
  if w.room < n then
    local line = redis.call('HGET', w.key, field)
    local free = w.now + until_free(w, w.total - w.cap + 1)
    local turn = math.min(math.max(free, line and tonumber(line) or 0), w.now + longest)
    local behind = math.floor(turn + (n - granted) * (w.span + w.width) / w.cap)
    if not looking then redis.call('HSET', w.key, field, whole(math.min(behind, w.now + longest))) end
    answer[i + 1] = turn - w.now
  end
  save(w, math.max(w.span + 2 * w.width, longest) + 1000000)
end
return answer
""")

#: KEYS: a window. ARGV: clock or '', n, of which counted before, max, span, width.
#: Answers {allowed, remaining, until it is empty, until n fit}.
API_KEY = Script(f"""{_WINDOW}
local n, counted, max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local w = open(KEYS[1], clock(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6]))
local allowed, retry = 1, 0
if w.total + n - counted <= max then
  add(w, n - counted)
else
  allowed = 0
  -- What was counted before is given back out of the oldest: the rest then counts for too long rather than too short.
  local back, found = math.min(counted, w.total), names(w.oldest, w.newest)
  for i, count in ipairs(counts(w, found)) do
    local taken = math.min(back, count)
    if taken > 0 then redis.call('HINCRBY', w.key, found[i], whole(-taken)) end
    back, w.total = back - taken, w.total - taken
  end
  retry = until_free(w, w.total + n - max)
end
save(w, w.span + 2 * w.width + 1000000)
return {{allowed, math.max(0, max - w.total), until_empty(w), retry}}
""")

#: Caps that may concern one notification: by day and by week, of its category and of all.
MAX_CAPS = 4

#: Of a log that must be known before it is asked: something is in it, be it only its mark; and a member with a question
#: mark is one that may be leaving at this moment: it stands in the way of others until it is asked about itself.
_UNKNOWN = """
    if k > 0 and redis.call('EXISTS', KEYS[k]) == 0 then allowed = 0 end"""
_OWN = "(redis.call('ZSCORE', KEYS[k], '?' .. member) and 1 or 0)"
_TAKE_OWN = f"""
  for j = 1, {MAX_CAPS} do
    local k = tonumber(ARGV[i + j])
    if k > 0 and not looking then redis.call('ZREM', KEYS[k], '?' .. member) end
  end"""


def _people(width: int, *, seeded: bool) -> Script:
    """KEYS: a log per person and limit. ARGV: clock or '', max and span of each log, then per ask the member and the
    numbers of its `width` logs (0: none). Full logs alone are swept; the others have room as they are.

    Answers per ask 1 where all have room, else 0; of `seeded` logs 0 where one is not known, and for the first that is
    full minus its place.
    """
    return Script(f"""{_WINDOW}
local at = clock(ARGV[1])

-- Whether the log has room for the member, and whether the member must still be added.
local function room(k, member)
  local since = at - tonumber(ARGV[2 * k + 1])
  local seen = redis.call('ZSCORE', KEYS[k], member)
  if seen and tonumber(seen) >= since then return true, false end
  local max = tonumber(ARGV[2 * k]){f" + {_OWN}" if seeded else ""}
  if redis.call('ZCARD', KEYS[k]) < max then return true, true end
  if not looking then redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', '(' .. whole(since)) end
  return redis.call('ZCOUNT', KEYS[k], whole(since), '+inf') < max, true
end

local answer = {{}}
for i = 2 * #KEYS + 2, #ARGV, {width + 1} do
  local member, allowed, new = ARGV[i], 1, {{}}
  for j = 1, {width} do
    local k = tonumber(ARGV[i + j]){_UNKNOWN if seeded else ""}
  end
  for j = 1, {width} do
    local k = tonumber(ARGV[i + j])
    if k > 0 and allowed == 1 then
      local has_room, must_add = room(k, member)
      if not has_room then allowed = {"-j" if seeded else "0"} end
      if must_add then new[#new + 1] = k end
    end
  end
  if allowed == 1 and not looking then
    for _, k in ipairs(new) do
      redis.call('ZADD', KEYS[k], whole(at), member)
      redis.call('PEXPIRE', KEYS[k], whole(math.ceil(tonumber(ARGV[2 * k + 1]) / 1000) + 1000))
    end
  end
{_TAKE_OWN if seeded else ""}
  answer[#answer + 1] = allowed
end
return answer
""")


#: By limits of a person: of the category and of all.
RECIPIENTS = _people(2, seeded=False)
#: By frequency caps.
CAPS = _people(MAX_CAPS, seeded=True)

#: KEYS: logs of CAPS. ARGV: clock or '', then per log its span, the number of its members, and each member with its age
#: in microseconds. Makes those that are not there; each begins with a mark that it is known, which never leaves it.
SEED = Script(f"""{_WINDOW}
local at, i = clock(ARGV[1]), 2
for _, key in ipairs(KEYS) do
  local span, members = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local new = redis.call('EXISTS', key) == 0
  i = i + 2
  if new then redis.call('ZADD', key, '+inf', 'known') end
  for _ = 1, members do
    if new then redis.call('ZADD', key, whole(at - tonumber(ARGV[i + 1])), ARGV[i]) end
    i = i + 2
  end
  if new then redis.call('PEXPIRE', key, whole(math.ceil(span / 1000) + 1000)) end
end
return 1
""")

#: KEYS: windows. ARGV: clock or '', then span and width of each. Answers what each counts now, and changes nothing.
USED = Script(f"""{_WINDOW}
local at, answer = clock(ARGV[1]), {{}}
for i, key in ipairs(KEYS) do
  local h = redis.call('HMGET', key, 'last', 'ahead', 'total', 'oldest', 'newest')
  for j = 1, 5 do h[j] = h[j] and tonumber(h[j]) or 0 end
  answer[i] = 0
  if h[3] > 0 then
    local now = math.max(at + h[2], h[1])
    local first = math.floor((now - tonumber(ARGV[2 * i])) / tonumber(ARGV[2 * i + 1]))
    local found = names(math.max(first, h[4]), h[5])
    if #found > 0 then
      for _, count in ipairs(counts({{key = key}}, found)) do answer[i] = answer[i] + count end
    end
  end
end
return answer
""")

#: What these ask in front of a dry run.
PROVIDER_LOOK, RECIPIENTS_LOOK, CAPS_LOOK = PROVIDER.looking(), RECIPIENTS.looking(), CAPS.looking()

#: KEYS: logs of persons. ARGV: clock or '', then max and span of each. Answers for each how much of it counts now, and
#: the microseconds until one more has room; changes nothing.
LOGS = Script(f"""{_WINDOW}
local at, answer = clock(ARGV[1]), {{}}
for i, key in ipairs(KEYS) do
  local max, span = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local used, wait = redis.call('ZCOUNT', key, whole(at - span), '+inf'), 0
  if used >= max then
    local last = redis.call('ZRANGEBYSCORE', key, whole(at - span), '+inf', 'WITHSCORES', 'LIMIT', used - max, 1)
    wait = math.max(0, tonumber(last[2]) + span - at)
  end
  answer[2 * i - 1], answer[2 * i] = used, math.floor(wait)
end
return answer
""")
