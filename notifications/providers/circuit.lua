-- circuit.py, on the state that all workers share: read there why things are as they are. One call, one transaction.
-- KEYS: the circuit (hash), its tallies (hash of "<slot>:calls", "<slot>:failed", "<slot>:slow").
-- ARGV: what to do, now ('' for Redis' own clock), milliseconds to keep the keys, the rules, then what it is done with.
-- Answers strings: Redis would cut the fraction off a number.

local SLOTS, PROBE_LOOK, JITTER = 20, 1.0, 0.1
local TEXT = { probe = true, why = true }
local FIELDS = {
  'is_open', 'until', 'streak', 'spread', 'since', 'probe', 'probe_until', 'paused_until', 'why', 'bad', 'of', 'opened_at',
}

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local keep = ARGV[3]
local rules = {
  window = tonumber(ARGV[4]), min_calls = tonumber(ARGV[5]), failure_rate = tonumber(ARGV[6]),
  slow_rate = tonumber(ARGV[7]), slow_seconds = tonumber(ARGV[8]), open_seconds = tonumber(ARGV[9]),
  open_max = tonumber(ARGV[10]), probe_seconds = tonumber(ARGV[11]), pause_max = tonumber(ARGV[12]),
}
local GIVEN = 12

local function exact(number)
  return string.format('%.17g', number)
end

local circuit = {}
for n, value in ipairs(redis.call('HMGET', KEYS[1], unpack(FIELDS))) do
  local name = FIELDS[n]
  if TEXT[name] then circuit[name] = value or '' else circuit[name] = tonumber(value or 0) end
end

local changed, event = false, ''

local function save()
  local flat = {}
  for _, name in ipairs(FIELDS) do
    flat[#flat + 1] = name
    flat[#flat + 1] = TEXT[name] and circuit[name] or exact(circuit[name])
  end
  redis.call('HSET', KEYS[1], unpack(flat))
  redis.call('PEXPIRE', KEYS[1], keep)
end

local function open(at, why, spread)
  local longest = math.min(rules.open_max, rules.open_seconds * 2 ^ math.min(circuit.streak, 32))
  if circuit.is_open == 0 then circuit.opened_at = at end
  circuit.is_open, circuit['until'] = 1, at + longest * (1 - JITTER * spread)
  circuit.streak, circuit.spread = circuit.streak + 1, spread
  circuit.probe, circuit.probe_until, circuit.why = '', 0, why
  changed, event = true, 'opened'
end

local function close(paused_until)
  for _, name in ipairs(FIELDS) do circuit[name] = TEXT[name] and '' or 0 end
  circuit.since, circuit.paused_until = now, paused_until
  redis.call('DEL', KEYS[2])
  changed, event = true, 'closed'
end

-- Without what lies further ahead than it can be: the clock was set back.
local function forget(name)
  circuit[name], changed = 0, true
end
if circuit['until'] > now + rules.open_max then forget('until') end
if circuit.probe_until > now + rules.probe_seconds then
  forget('probe_until')
  circuit.probe = ''
end
if circuit.paused_until > now + rules.pause_max then forget('paused_until') end
if circuit.since > now then forget('since') end

-- What time alone has done: a probe that was never heard of has opened the circuit again.
if circuit.probe ~= '' and now >= circuit.probe_until then open(circuit.probe_until, 'probe_lost', circuit.spread) end

local function ask(token)
  local wait = math.max(0, circuit.paused_until - now)
  if circuit.is_open == 1 then
    if now < circuit['until'] then
      wait = math.max(wait, circuit['until'] - now)
    elseif circuit.probe ~= '' then
      wait = math.max(wait, math.min(PROBE_LOOK, circuit.probe_until - now))
    elseif wait == 0 then
      circuit.probe, circuit.probe_until, changed = token, now + rules.probe_seconds, true
      return { '', '0', token }
    end
  end
  if wait == 0 then return { '', '0', '' } end
  return { circuit.paused_until > now and 'throttled' or 'circuit_open', exact(wait), '' }
end

-- Adds to the window, drops what has left it, and answers its sums.
local function count(calls, failed, slow)
  local slot = math.floor(now / (rules.window / SLOTS))
  redis.call('HINCRBY', KEYS[2], slot .. ':calls', calls)
  if failed > 0 then redis.call('HINCRBY', KEYS[2], slot .. ':failed', failed) end
  if slow > 0 then redis.call('HINCRBY', KEYS[2], slot .. ':slow', slow) end
  redis.call('PEXPIRE', KEYS[2], keep)
  local total, gone = { calls = 0, failed = 0, slow = 0 }, {}
  local flat = redis.call('HGETALL', KEYS[2])
  for n = 1, #flat, 2 do
    local at, what = string.match(flat[n], '^(%d+):(%a+)$')
    if tonumber(at) > slot - SLOTS and tonumber(at) <= slot then
      total[what] = total[what] + tonumber(flat[n + 1])
    else
      gone[#gone + 1] = flat[n]
    end
  end
  if #gone > 0 then redis.call('HDEL', KEYS[2], unpack(gone)) end
  return total
end

local function probed(calls, failed, seconds, spread)
  if calls == 0 then
    circuit.probe, circuit.probe_until, changed = '', 0, true
  elseif failed > 0 then
    open(now, 'probe_failed', spread)
  elseif seconds > rules.slow_seconds then
    open(now, 'probe_slow', spread)
  else
    close(circuit.paused_until)
  end
end

local function report(answered, failed, seconds, pause, probe, spread)
  pause = math.min(pause, rules.pause_max)
  if pause > 0 and now + pause > circuit.paused_until then circuit.paused_until, changed = now + pause, true end
  local calls = answered + failed
  if probe ~= '' then
    if probe == circuit.probe then probed(calls, failed, seconds, spread) end
    return
  end
  if circuit.is_open == 1 or calls == 0 or now - seconds < circuit.since then return end
  local total = count(calls, failed, seconds > rules.slow_seconds and calls or 0)
  if total.calls < rules.min_calls then return end
  if total.failed >= rules.failure_rate * total.calls then
    open(now, 'failing', spread)
    circuit.bad, circuit.of = total.failed, total.calls
  elseif total.slow >= rules.slow_rate * total.calls then
    open(now, 'slow', spread)
    circuit.bad, circuit.of = total.slow, total.calls
  end
end

local given = {}
for n = GIVEN + 1, #ARGV do given[#given + 1] = ARGV[n] end
local answer = {}
if ARGV[1] == 'ask' then
  answer = ask(given[1])
elseif ARGV[1] == 'report' then
  report(tonumber(given[1]), tonumber(given[2]), tonumber(given[3]), tonumber(given[4]), given[5], tonumber(given[6]))
elseif ARGV[1] == 'reset' then
  close(0)
end
if changed then save() end
return { event, circuit.why, exact(math.max(0, circuit['until'] - now)), unpack(answer) }
