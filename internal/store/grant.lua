-- An entry of the ledger is written only over the one that was read.
-- KEYS: ledger, holders, open
-- ARGV: person, revision, grant, holds (0 or 1), when its intent was written (0: none)
-- Returns the new revision, or 0 when somebody else saved first.
local old = redis.call('HGET', KEYS[1], ARGV[1])
local rev = 0
if old then rev = tonumber(string.match(old, '^(%d+) ')) end
if rev ~= tonumber(ARGV[2]) then return 0 end
rev = rev + 1
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', rev) .. ' ' .. ARGV[3])
if ARGV[4] == '1' then redis.call('SADD', KEYS[2], ARGV[1]) else redis.call('SREM', KEYS[2], ARGV[1]) end
if ARGV[5] ~= '0' then redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1]) else redis.call('ZREM', KEYS[3], ARGV[1]) end
return rev
