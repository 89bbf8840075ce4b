-- KEYS: two keys that are not used otherwise, the hash with the version.
-- A script that lacks the permission for one of its commands would stop in the middle of a commit.
-- So each command is tried first. Returns the version of the stored data.
local hash, set = KEYS[1], KEYS[2]
local commands = {
  {'HGET', hash, 'f'}, {'HGETALL', hash}, {'HKEYS', hash}, {'HLEN', hash}, {'HEXISTS', hash, 'f'},
  {'EXISTS', hash}, {'GET', set}, {'ZCARD', set}, {'ZRANGE', set, 0, 0},
  {'ZRANGEBYSCORE', set, 0, 0}, {'HSET', hash, 'f', '1'}, {'HINCRBY', hash, 'f', 1},
  {'HDEL', hash, 'f'}, {'ZADD', set, 1, 'm'}, {'ZREM', set, 'm'},
  {'ZREMRANGEBYRANK', set, 0, 0}, {'DEL', hash, set}, {'PEXPIRE', set, 1000},
  {'TIME'}, {'PERSIST', set}, {'ZSCORE', set, 'm'}, {'HSCAN', hash, 0},
  {'HSETNX', hash, 'f', '1'}, {'DEL', hash}, {'PTTL', set},
}
for _, command in ipairs(commands) do
  local reply = redis.pcall(unpack(command))
  local refused = type(reply) == 'table' and reply.err
  -- A server whose memory is full can still be read, and users can sign out.
  if refused and not string.find(refused, 'OOM', 1, true) then
    if string.find(refused, 'permission') or string.find(refused, "can't run") then
      return redis.error_reply('NOPERM ' .. command[1])
    end
    return redis.error_reply(refused)
  end
end
return redis.call('HGET', KEYS[3], 'version')
