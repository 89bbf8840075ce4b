-- KEYS: meta, parts, due, then the hash of each partition. ARGV: limit of idle time, length of the
-- prefix, then the revision that is known of each, or ''.
-- Returns for each: 0 if it is unchanged, or its fields and values. Notes the use of a user where
-- there is a limit of idle time, but not each: when a sixteenth of it has passed.
local idle, out = tonumber(ARGV[1]), {}

local function use(key, r)
  local name = string.sub(key, ARGV[2] + 1)
  local count, expiry = string.match(r, '^%x+ (%d+) (%-?%d+)$')
  if not count or string.sub(name, 1, 5) ~= 'user/' then return end
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local ends = now + math.floor(idle * 9 / 8)
  if count == '0' then ends = math.min(ends, math.max(expiry * 1000, now) + 3600000) end
  if ends - (redis.call('ZSCORE', KEYS[3], name) or 0) < idle / 16 then return end
  -- A server that can't be written can still be read.
  local noted = redis.pcall('ZADD', KEYS[3], ends, name)
  if type(noted) == 'table' and noted.err then return end
  redis.call('PEXPIRE', key, ends - now + 3600000)
  redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[1], 'n', 1), name)
end

for i = 4, #KEYS do
  local r = redis.call('HGET', KEYS[i], 'r')
  if r and idle > 0 then use(KEYS[i], r) end
  if string.sub(r or '0', 1, 32) == ARGV[i - 1] then
    out[i - 3] = 0
  else
    out[i - 3] = redis.call('HGETALL', KEYS[i])
  end
end
return out
