-- KEYS: meta, own, exp, parts, gone, due. ARGV: prefix, revision, limit of idle time, limit.
-- Deletes partitions whose time is over, at most `limit`, and removes from the index what the server
-- has deleted by itself. Returns 1 if there is more to do.
local over = redis.call('ZRANGEBYSCORE', due, '-inf', now(), 'LIMIT', 0, ARGV[4])
for _, name in ipairs(over) do stored_revision(name) end
if foreign then return redis.error_reply('MSALFOREIGN not a partition') end
for _, name in ipairs(over) do
  local fields = redis.call('HKEYS', prefix .. name)
  if #fields == 0 then redis.call('HSETNX', meta, 'scan', '0') end
  redis.call('DEL', prefix .. name)
  for from = 1, #fields, 100 do
    local last = math.min(from + 99, #fields)
    redis.call('HDEL', own, unpack(fields, from, last))
    redis.call('ZREM', exp, unpack(fields, from, last))
  end
  touch(name)
end
finish()
local more = #over == tonumber(ARGV[4])
local cursor = redis.call('HGET', meta, 'scan')
if cursor and not more then
  local page = redis.call('HSCAN', own, cursor, 'COUNT', 50)
  for i = 1, #page[2], 2 do
    local field, owner = page[2][i], page[2][i + 1]
    if redis.call('HEXISTS', prefix .. owner, field) == 0 then
      redis.call('HDEL', own, field)
      redis.call('ZREM', exp, field)
    end
  end
  more = page[1] ~= '0'
  if more then redis.call('HSET', meta, 'scan', page[1]) else redis.call('HDEL', meta, 'scan') end
end
return more and 1 or 0
