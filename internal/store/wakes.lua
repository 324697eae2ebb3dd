-- Work that is woken: one field of one hash each, so that a batch of
-- notifications is one read. See wakes.go for the states.
--
-- A field reads "succccctttttttttttttt" .. due .. "|n|until|run|again":
--   s      q waits, r runs, b backs off, c rests ("cools")
--   u c t  urgency, causes and the time of the first one, and due, when the
--          task of what waits is due: of fixed width, so that the first 35
--          signs of two wakes can be compared as texts
--   n      number of the wake; until: when the rest ends; run: who is at it
--   again  u c t of what came while it ran, or nothing
--
-- KEYS: watch, seq, work; for tend also alive. ARGV: what to do, and for each
-- the arguments named there. Times are milliseconds.
local watch, seq, work = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function triple(u, c, t) return string.format('%d%05d%014d', u, c, t) end

local function write(key, s, h)
  redis.call('HSET', work, key, s .. triple(h.u, h.c, h.t) ..
    string.format('%014d|%d|%d|%s|%s', h.due, h.n, h.rests, h.run, h.again))
end

local function parse(text)
  local s, u, c, td, n, rests, run, again = string.match(text, '^(%a)(%d)(%d%d%d%d%d)(%d+)|(%d+)|(%d+)|([^|]*)|(%d*)$')
  return s, { u = tonumber(u), c = tonumber(c), t = tonumber(td:sub(1, 14)), due = tonumber(td:sub(15)), n = tonumber(n), rests = tonumber(rests), run = run, again = again }
end

local function read(key)
  local text = redis.call('HGET', work, key)
  if text then return parse(text) end
end

-- Lua 5.1 has no bitwise or; causes are few bits.
local function union(a, b)
  local sum, bit = 0, 1
  while a > 0 or b > 0 do
    if a % 2 == 1 or b % 2 == 1 then sum = sum + bit end
    a = math.floor(a / 2)
    b = math.floor(b / 2)
    bit = bit * 2
  end
  return sum
end

local function join(u, c, t, h) return math.min(u, h.u), union(c, h.c), math.min(t, h.t) end

local function again(h)
  return { u = tonumber(h.again:sub(1, 1)), c = tonumber(h.again:sub(2, 6)), t = tonumber(h.again:sub(7)) }
end

-- One wake that is not simply folded; returns the number and delay of the
-- task it needs, if it needs one.
local function wake(key, u, c, t, delay, isRescue)
  local s, h = read(key)
  if s and isRescue and s ~= 'c' then return end
  if s == 'r' then
    if h.again ~= '' then u, c, t = join(u, c, t, again(h)) end
    h.again = triple(u, c, t)
    write(key, s, h)
    return
  end
  h = h or { n = 0, rests = 0, due = 0 }
  local due = now + math.max(delay, h.rests - now)
  local urgent = s ~= 'q' or u < h.u or due < h.due
  if s == 'q' then due = math.min(due, h.due) end
  if s == 'q' or s == 'b' then u, c, t = join(u, c, t, h) end
  h.u, h.c, h.t, h.due, h.run, h.again = u, c, t, due, '', ''
  if urgent then h.n = redis.call('INCR', seq) end
  write(key, 'q', h)
  if urgent then return h.n, due - now end
end

-- Writes down that work is to be done, and tells which of it needs a task.
-- ARGV: grace, the cause that wakes only what sleeps, then sections of
-- urgency, cause, since, delay, how many, key….
-- Returns, for each that needs one: which it was, its number, its delay.
local function wakes()
  local grace, rescue = tonumber(ARGV[2]), tonumber(ARGV[3])
  local answer, watched, at, before = {}, {}, 4, 0
  while at <= #ARGV do
    local u, c, t, delay, many = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local first, like, since, due = at + 5, string.format('q%d%05d', u, c), string.format('%014d', t), string.format('%014d', now + delay)
    local texts = redis.call('HMGET', work, unpack(ARGV, first, first + many - 1))
    for k = 1, many do
      local text = texts[k]
      -- Nearly every notification of a burst ends here.
      if not text or text:sub(1, 7) ~= like or text:sub(8, 21) > since or text:sub(22, 35) > due then
        local key = ARGV[first + k - 1]
        local n, wait = wake(key, u, c, t, delay, c == rescue)
        if n then
          answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = before + k, n, wait
          watched[#watched + 1], watched[#watched + 2] = now + grace + wait, key
        end
      end
    end
    at, before = first + many, before + many
  end
  for k = 1, #watched, 1000 do
    redis.call('ZADD', watch, unpack(watched, k, math.min(k + 999, #watched)))
  end
  return answer
end

local function row(key, h, delay)
  return { key, tostring(h.u), tostring(h.c), string.format('%d', h.t), tostring(h.n), tostring(delay) }
end

-- Takes a piece of work, unless somebody is at it or there is nothing to do.
-- ARGV: key, run, life. Returns its row, or nothing.
local function claim()
  local key = ARGV[2]
  local s, h = read(key)
  if s ~= 'q' and s ~= 'b' then return {} end
  h.run, h.rests, h.due = ARGV[3], 0, 0
  write(key, 'r', h)
  redis.call('ZADD', watch, now + ARGV[4], key)
  return row(key, h, 0)
end

-- Ends a run: the work is done, waits for its retry, or was woken meanwhile.
-- ARGV: key, run, done or back, rest, grace.
-- Returns the row of work woken meanwhile, or nothing.
local function finish()
  local key, rest = ARGV[2], tonumber(ARGV[5])
  local s, h = read(key)
  if s ~= 'r' or h.run ~= ARGV[3] then return {} end
  h.run = ''
  if h.again ~= '' then
    local w = again(h)
    -- What failed is still to be done, for its own causes too.
    if ARGV[4] == 'back' then w.u, w.c, w.t = join(w.u, w.c, w.t, h) end
    w.n, w.rests, w.due, w.run, w.again = redis.call('INCR', seq), now + rest, now + rest, '', ''
    write(key, 'q', w)
    redis.call('ZADD', watch, now + rest + ARGV[6], key)
    return row(key, w, rest)
  end
  if ARGV[4] == 'back' then
    -- asynq holds the retry; should it be lost, the watch makes another.
    write(key, 'b', h)
    redis.call('ZADD', watch, now + rest + 60000, key)
  elseif rest > 0 then
    h.rests = now + rest
    write(key, 'c', h)
    redis.call('ZADD', watch, h.rests, key)
  else
    redis.call('HDEL', work, key)
    redis.call('ZREM', watch, key)
  end
  return {}
end

-- What the watch names and nobody is at is given to another.
local function rescue(key, grace)
  local s, h = read(key)
  if not s or s == 'c' then
    redis.call('HDEL', work, key)
    redis.call('ZREM', watch, key)
    return
  end
  if h.again ~= '' then h.u, h.c, h.t = join(h.u, h.c, h.t, again(h)) end
  h.n, h.due, h.run, h.again = redis.call('INCR', seq), now, '', ''
  write(key, 'q', h)
  redis.call('ZADD', watch, now + grace, key)
  return row(key, h, 0)
end

-- The sign of life of a process, and the search for work that nobody is at.
-- ARGV: life, grace, number queued, (key, number)…, (key, run)…
-- Returns the rows of that work.
local function tend()
  local life, grace, queued, at = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 5
  redis.call('SET', KEYS[4], 1, 'PX', life)
  for k = 1, (#ARGV - 4) / 2 do
    local key, s, h = ARGV[at], read(ARGV[at])
    if k <= queued then
      if s == 'q' and h.n == tonumber(ARGV[at + 1]) then redis.call('ZREM', watch, key) end
    elseif s == 'r' and h.run == ARGV[at + 1] then
      redis.call('ZADD', watch, now + life, key)
    end
    at = at + 2
  end
  local overdue = {}
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', watch, '-inf', now, 'LIMIT', 0, 500)) do
    overdue[#overdue + 1] = rescue(key, grace)
  end
  return overdue
end

return ({ wake = wakes, claim = claim, finish = finish, tend = tend })[ARGV[1]]()
