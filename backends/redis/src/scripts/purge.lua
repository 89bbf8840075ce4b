-- KEYS: meta, own, exp, parts, gone, due. ARGV: prefix, revision, limit of idle time, now, limit.
-- Deletes expired records, at most `limit`. Returns how many it deleted and how many it found.
local due = redis.call('ZRANGEBYSCORE', exp, '-inf', '(' .. ARGV[4], 'LIMIT', 0, ARGV[5])
local owners = {}
for i, field in ipairs(due) do
  owners[i] = redis.call('HGET', own, field)
  if owners[i] then stored_revision(owners[i]) end
end
if foreign then return redis.error_reply('MSALFOREIGN not a partition') end
local deleted = 0
for i, field in ipairs(due) do
  if owners[i] then
    deleted = deleted + redis.call('HDEL', prefix .. owners[i], field)
    redis.call('HDEL', own, field)
    touch(owners[i])
  end
  redis.call('ZREM', exp, field)
end
finish()
return {deleted, #due}
