-- Shared by the scripts that write. A script is atomic but isn't undone if it fails, so everything
-- that can fail is checked before the first write.
local meta, own, exp, parts, gone, due = unpack(KEYS, 1, 6)
local prefix, revision, idle = ARGV[1], ARGV[2], tonumber(ARGV[3])
local version = redis.call('HGET', meta, 'version')
if version and version ~= '1' then return redis.error_reply('MSALVERSION newer layout') end
redis.call('HLEN', own)
redis.call('ZCARD', exp)
redis.call('ZCARD', parts)
redis.call('ZCARD', gone)
redis.call('ZCARD', due)

-- The revision of a partition. A partition without one isn't ours, unless it is empty. Beside the
-- revision are the number of records that don't expire, and the latest expiry of the others.
local foreign = false
local kept, kept_before, latest = {}, {}, {}
local function stored_revision(name)
  local r = redis.call('HGET', prefix .. name, 'r')
  if not r and redis.call('EXISTS', prefix .. name) == 1 then foreign = true end
  local found, count, expiry = string.match(r or '0 0 0', '^(%x+) (%d+) (%-?%d+)$')
  if not found then foreign = true end
  kept[name], latest[name] = tonumber(count), tonumber(expiry)
  kept_before[name] = r and kept[name]
  return found
end

-- Milliseconds since the epoch.
local time
local function now()
  if not time then
    local t = redis.call('TIME')
    time = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return time
end

-- For how long a partition is kept, in milliseconds; nil: for ever. An hour longer than all of its
-- records, for clocks that differ. A user is kept for an eighth longer than the limit, since uses
-- are noted with that delay. A lifetime of ten years is for ever.
local function lifetime(name)
  local longest = 315360000000
  if idle > 0 and string.sub(name, 1, 5) == 'user/' then longest = math.floor(idle * 9 / 8) end
  if kept[name] == 0 then
    local left = math.max(latest[name] * 1000 - now(), 0) + 3600000
    if left < longest then longest = left end
  end
  if longest < 315360000000 then return longest end
end

local touched, revisions = {}, {}
local function touch(name)
  if not revisions[name] then
    revisions[name] = '0'
    touched[#touched + 1] = name
  end
end

-- Gives each changed partition its revision, or deletes it if it is empty.
local function finish()
  for _, name in ipairs(touched) do
    local key = prefix .. name
    local change = redis.call('HINCRBY', meta, 'n', 1)
    if redis.call('HLEN', key) == redis.call('HEXISTS', key, 'r') then
      redis.call('DEL', key)
      redis.call('ZREM', parts, name)
      redis.call('ZREM', due, name)
      redis.call('ZADD', gone, change, name)
    else
      revisions[name] = string.sub(redis.sha1hex(revision .. name), 1, 32)
      local r = string.format('%s %d %.0f', revisions[name], kept[name], latest[name])
      redis.call('HSET', key, 'r', r)
      redis.call('ZADD', parts, change, name)
      redis.call('ZREM', gone, name)
      local left = lifetime(name)
      if left then
        -- The server deletes the key only if no process has deleted the partition for an hour.
        redis.call('PEXPIRE', key, left + 3600000)
        redis.call('ZADD', due, now() + left, name)
      elseif kept_before[name] == 0 then
        redis.call('PERSIST', key)
        redis.call('ZREM', due, name)
      end
    end
  end
  if #touched == 0 then return end
  redis.call('HSET', meta, 'rev', revision, 'version', '1')
  -- Deleted names are kept for the listings that are under way. Older ones start again.
  local extra = redis.call('ZCARD', gone) - 1000
  if extra > 0 then
    local last = redis.call('ZRANGE', gone, extra - 1, extra - 1, 'WITHSCORES')
    redis.call('HSET', meta, 'floor', last[2])
    redis.call('ZREMRANGEBYRANK', gone, 0, extra - 1)
  end
end
