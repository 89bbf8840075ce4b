-- Shared by the scripts that write. A script is atomic but isn't undone if it fails, so everything
-- that can fail is checked before the first write.
local meta, own, exp, parts, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, revision = ARGV[1], ARGV[2]
local version = redis.call('HGET', meta, 'version')
if version and version ~= '1' then return redis.error_reply('MSALVERSION newer layout') end
redis.call('HLEN', own)
redis.call('ZCARD', exp)
redis.call('ZCARD', parts)
redis.call('ZCARD', gone)

-- The revision of a partition. A partition without one isn't ours, unless it is empty.
local foreign = false
local function stored_revision(name)
  local r = redis.call('HGET', prefix .. name, 'r')
  if not r and redis.call('EXISTS', prefix .. name) == 1 then foreign = true end
  return r or '0'
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
      redis.call('ZADD', gone, change, name)
    else
      revisions[name] = string.sub(redis.sha1hex(revision .. name), 1, 32)
      redis.call('HSET', key, 'r', revisions[name])
      redis.call('ZADD', parts, change, name)
      redis.call('ZREM', gone, name)
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
