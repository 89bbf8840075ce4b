-- The tables of one schema. `{names}` is replaced by the quoted schema and the prefix.

-- The version of these tables. It has one row.
CREATE TABLE {version} (
    version int NOT NULL,
    application text NOT NULL DEFAULT 'msal-cache'
);
INSERT INTO {version} (version) VALUES (1);

-- The revision of each partition; a revision of zeros is that of an empty one. The id is a hash of
-- the name, so that a row that outlives its records doesn't name a user.
CREATE TABLE {partitions} (
    cache text NOT NULL,
    id uuid NOT NULL,
    revision uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    PRIMARY KEY (cache, id)
) WITH (fillfactor = 70);
CREATE INDEX ON {partitions} (cache) WHERE revision = '00000000-0000-0000-0000-000000000000';

-- The id is a hash of section and key, since an index can't hold long keys. Text is bytea, since
-- `text` can't hold NUL, and is limited to the encoding of the database.
CREATE TABLE {records} (
    cache text NOT NULL,
    id uuid NOT NULL,
    partition uuid NOT NULL,
    position bigint NOT NULL,
    expires_on bigint,
    section bytea NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (cache, id)
) WITH (toast_tuple_target = 8160);
-- Tokens can't be compressed.
ALTER TABLE {records} ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX ON {records} (cache, partition, position);
CREATE INDEX ON {records} (cache, section, position);
CREATE INDEX ON {records} (cache, expires_on) WHERE expires_on IS NOT NULL;

-- The order in which keys are first put.
CREATE SEQUENCE {positions};

-- One row for each connection, with its last change: the revision that the client drew, and the
-- revisions that the call returned. So a client whose connection is lost finds out whether its last
-- commit was applied. All rows together are the revision of the whole cache: a single row would make
-- each commit wait until the one before is durable. A row is deleted a day after its last change.
CREATE TABLE {sessions} (
    cache text NOT NULL,
    id uuid NOT NULL,
    revision uuid NOT NULL,
    result uuid[],
    closed boolean NOT NULL DEFAULT false,
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cache, id)
) WITH (fillfactor = 10);

-- The guards that are held or whose holder was lost, each until the server's clock passes `ends`. They
-- survive a crash of the server and a failover: a holder that was lost then may have a refresh token that
-- it hasn't stored yet.
CREATE TABLE {guards} (
    cache text NOT NULL,
    id uuid NOT NULL,
    token uuid NOT NULL,
    ends timestamptz NOT NULL,
    lost boolean NOT NULL DEFAULT false,
    PRIMARY KEY (cache, id)
) WITH (fillfactor = 50);

-- The processes that listen to changes, each until the server's clock passes `ends`. Commits notify while
-- there is one, whichever process makes them. They need not survive a crash of the server, which ends the
-- connections that listen.
CREATE UNLOGGED TABLE {listeners} (
    cache text NOT NULL,
    id uuid NOT NULL,
    channel text NOT NULL,
    ends timestamptz NOT NULL,
    PRIMARY KEY (cache, id)
) WITH (fillfactor = 50);

-- Notes the holder of a guard, for `span`. Returns false while another holder is noted. One that is found
-- to be lost has `grace` to store what it got for a refresh token: its session has ended, so that it could
-- be noted for longer than that, or its lease has ended. If the caller has `watched` a lease until it ended,
-- the server was there, so that its holder could have renewed it.
CREATE FUNCTION {claim}(c text, i uuid, t uuid, span interval, grace interval, watched boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {guards} AS g (cache, id, token, ends) VALUES (c, i, t, clock_timestamp() + span)
    ON CONFLICT (cache, id) DO UPDATE SET token = excluded.token, ends = excluded.ends, lost = false
    WHERE g.token = excluded.token OR g.ends < clock_timestamp() AND (g.lost OR watched);
    IF FOUND THEN
        RETURN true;
    END IF;
    UPDATE {guards} SET ends = clock_timestamp() + grace, lost = true
    WHERE cache = c AND id = i AND NOT lost
      AND ends NOT BETWEEN clock_timestamp() AND clock_timestamp() + grace;
    RETURN false;
END $$;

-- Takes the guard of a partition as an advisory lock of this session, and notes it for a day, unless a lease
-- is held or the last holder may still store.
CREATE FUNCTION {enter}(c text, i uuid, k bigint, t uuid, ms int, watched boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A standby has locks of its own, and its clients can't store what they get for a refresh token.
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'a standby has no guards' USING ERRCODE = '25006';
    END IF;
    IF NOT pg_try_advisory_lock(k) THEN
        RETURN false;
    END IF;
    -- A lease that was being taken is visible to this statement, which starts after the lock was taken.
    IF {claim}(c, i, t, interval '1 day', ms * interval '1 millisecond', watched) THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_unlock(k);
    RETURN false;
END $$;

-- Takes the guard of a partition as a lease, unless another lease or an advisory lock is held.
CREATE FUNCTION {lease}(c text, i uuid, k bigint, t uuid, ms int, watched boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(k) THEN
        RETURN false;
    END IF;
    RETURN {claim}(c, i, t, ms * interval '1 millisecond', ms * interval '1 millisecond', watched);
END $$;

-- Notes the last change of a session, at the end of each transaction that changes records, and reports the
-- partitions to the processes that listen.
--
-- MS004: the session is closed, so its changes are rolled back.
CREATE FUNCTION {stamp}(c text, s uuid, drawn uuid, returned uuid[], changed uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    per_message CONSTANT int := 200;
    reported uuid[];
    to_channel text;
BEGIN
    UPDATE {sessions} SET revision = drawn, result = returned, used_at = now()
    WHERE cache = c AND id = s AND NOT closed;
    IF NOT FOUND THEN
        INSERT INTO {sessions} (cache, id, revision, result) VALUES (c, s, drawn, returned)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the session is closed' USING ERRCODE = 'MS004';
        END IF;
    END IF;
    -- After the table of the sessions is locked: a process that starts to listen waits for the
    -- transactions that have locked it before, and all others see its row here.
    SELECT channel INTO to_channel FROM {listeners}
    WHERE cache = c AND ends > clock_timestamp() LIMIT 1;
    IF to_channel IS NULL OR changed = '{}' THEN
        RETURN;
    END IF;
    IF pg_notification_queue_usage() > 0.5 THEN
        -- A full queue makes commits fail, those of other applications included. A process whose row is
        -- missing notices it with its next heartbeat, and asks for each look-up.
        PERFORM FROM {listeners} WHERE cache = c ORDER BY id FOR UPDATE;
        DELETE FROM {listeners} WHERE cache = c;
        RETURN;
    END IF;
    reported := ARRAY(SELECT DISTINCT unnest(changed));
    IF array_length(reported, 1) > 5 * per_message THEN
        PERFORM pg_notify(to_channel, 'all');
        RETURN;
    END IF;
    -- A message has less than 8,000 bytes.
    FOR n IN 1 .. array_length(reported, 1) BY per_message LOOP
        PERFORM pg_notify(to_channel, array_to_string(reported[n : n + per_message - 1], ','));
    END LOOP;
END $$;

-- Closes a session whose connection is lost. Returns what its last call returned if that is the one
-- with this revision, and otherwise NULL: then the call was not applied, and never will be. Waits for
-- a transaction of the session that is about to end.
CREATE FUNCTION {settle}(c text, s uuid, drawn uuid) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last uuid;
    returned uuid[];
BEGIN
    INSERT INTO {sessions} (cache, id, revision, closed)
    VALUES (c, s, '00000000-0000-0000-0000-000000000000', true)
    ON CONFLICT (cache, id) DO UPDATE SET closed = true, used_at = now()
    RETURNING revision, result INTO last, returned;
    RETURN CASE WHEN last = drawn THEN returned END;
END $$;

-- Checks what is expected of the partitions and applies the operations. The arrays with the prefix
-- `op_` have one element for each operation: `op_partition` counts partitions from 1, `op_round` is
-- how often the batch has named that key before, `op_value` is NULL for a deletion. Returns the
-- revisions of the partitions, and then the ids of other partitions that lost a key.
--
-- MS001: an expectation doesn't hold. MS002: another commit moved a key meanwhile; repeat the call.
CREATE FUNCTION {commit}(
    c text, s uuid, ids uuid[], expected uuid[], drawn uuid,
    op_partition int[], op_round int[], op_id uuid[], op_section bytea[], op_key bytea[],
    op_value bytea[], op_expires bigint[]
) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    written uuid[];
    held uuid[];
    one uuid;
    shared uuid[];
    touched uuid[];
    changed uuid[] := '{}';
    revisions uuid[];
    puts bigint;
    base bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the isolation level is not READ COMMITTED' USING ERRCODE = 'MS003';
    END IF;

    -- The rows are created and locked in one order, so that two commits never wait for each other.
    -- A partition that only loses records needs no row if it has none.
    written := ARRAY(SELECT DISTINCT ids[p] FROM unnest(op_partition, op_value) AS o(p, v)
                     WHERE v IS NOT NULL);
    -- What is expected of a partition that doesn't change may be expected by other commits, too.
    shared := ARRAY(SELECT i FROM unnest(ids) WITH ORDINALITY AS e(i, at)
                    WHERE at <> ALL(op_partition) AND i <> ALL(
        ARRAY(SELECT partition FROM {records} WHERE cache = c AND id = ANY(op_id))));
    IF shared = '{}' THEN
        held := ARRAY(SELECT id FROM {partitions} WHERE cache = c AND id = ANY(
            ids || ARRAY(SELECT partition FROM {records} WHERE cache = c AND id = ANY(op_id))
        ) ORDER BY id FOR UPDATE);
    ELSE
        held := '{}';
        FOR one IN SELECT DISTINCT i FROM unnest(
            ids || ARRAY(SELECT partition FROM {records} WHERE cache = c AND id = ANY(op_id))
        ) AS e(i) ORDER BY i LOOP
            IF one = ANY(shared) THEN
                PERFORM FROM {partitions} WHERE cache = c AND id = one FOR SHARE;
            ELSE
                PERFORM FROM {partitions} WHERE cache = c AND id = one FOR UPDATE;
                held := CASE WHEN FOUND THEN held || one ELSE held END;
            END IF;
        END LOOP;
    END IF;
    IF NOT written <@ held THEN
        INSERT INTO {partitions} (cache, id)
        SELECT c, w FROM unnest(written) AS w WHERE w <> ALL(held) ORDER BY w
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS puts = ROW_COUNT;
        IF puts < (SELECT count(*) FROM unnest(written) AS w WHERE w <> ALL(held)) THEN
            RAISE EXCEPTION 'another commit created a partition' USING ERRCODE = 'MS002';
        END IF;
        held := held || written;
    END IF;

    IF EXISTS (
        SELECT 1 FROM unnest(ids, expected) AS e(i, r)
        LEFT JOIN {partitions} p ON p.cache = c AND p.id = e.i
        WHERE e.r IS NOT NULL AND e.r <> coalesce(p.revision, nil)
    ) THEN
        RAISE EXCEPTION 'an expectation does not hold' USING ERRCODE = 'MS001';
    END IF;

    IF array_length(op_id, 1) > 0 THEN
        base := nextval('{positions}') << 24;
    END IF;
    FOR round IN 0 .. coalesce((SELECT max(r) FROM unnest(op_round) AS r), -1) LOOP
        -- A put under a key of another partition takes it from there.
        WITH gone AS (
            DELETE FROM {records} r
            USING unnest(op_partition, op_round, op_id, op_value) AS o(p, n, i, v)
            WHERE o.n = round AND r.cache = c AND r.id = o.i
              AND (r.partition = ids[o.p]) = (o.v IS NULL)
            RETURNING r.partition
        ) SELECT ARRAY(SELECT DISTINCT partition FROM gone) INTO touched;
        IF NOT touched <@ held THEN
            RAISE EXCEPTION 'another commit moved a key' USING ERRCODE = 'MS002';
        END IF;
        changed := changed || touched;

        WITH put AS (
            INSERT INTO {records} AS r
                (cache, id, partition, position, expires_on, section, key, value)
            SELECT c, o.i, ids[o.p], base + o.at, o.e, o.s, o.k, o.v
            FROM unnest(op_partition, op_round, op_id, op_section, op_key, op_value, op_expires)
                WITH ORDINALITY AS o(p, n, i, s, k, v, e, at)
            WHERE o.n = round AND o.v IS NOT NULL ORDER BY o.i
            ON CONFLICT (cache, id) DO UPDATE
            SET value = excluded.value, expires_on = excluded.expires_on
            WHERE r.partition = excluded.partition AND r.value <> excluded.value
            RETURNING r.partition
        ) SELECT ARRAY(SELECT DISTINCT partition FROM put), (SELECT count(*) FROM put)
          INTO touched, puts;
        changed := changed || touched;
        IF puts < (SELECT count(*) FROM unnest(op_round, op_value) AS o(n, v)
                   WHERE o.n = round AND o.v IS NOT NULL)
           AND EXISTS (
            SELECT 1 FROM unnest(op_partition, op_round, op_id, op_value) AS o(p, n, i, v)
            JOIN {records} r ON r.cache = c AND r.id = o.i
            WHERE o.n = round AND o.v IS NOT NULL AND r.partition <> ids[o.p]
        ) THEN
            RAISE EXCEPTION 'another commit moved a key' USING ERRCODE = 'MS002';
        END IF;
    END LOOP;

    IF changed <> '{}' THEN
        UPDATE {partitions} p SET revision = CASE WHEN EXISTS (
            SELECT 1 FROM {records} r WHERE r.cache = c AND r.partition = p.id
        ) THEN drawn ELSE nil END
        WHERE p.cache = c AND p.id = ANY(changed);
    END IF;
    revisions := ARRAY(
        SELECT coalesce(p.revision, nil) FROM unnest(ids) WITH ORDINALITY AS e(i, at)
        LEFT JOIN {partitions} p ON p.cache = c AND p.id = e.i ORDER BY e.at
    );
    IF changed <> '{}' THEN
        IF NOT changed <@ ids THEN
            revisions := revisions
                || ARRAY(SELECT DISTINCT i FROM unnest(changed) AS i WHERE i <> ALL(ids));
        END IF;
        PERFORM {stamp}(c, s, drawn, revisions, changed);
    END IF;
    RETURN revisions;
END $$;

-- The same for a client that holds leases: those of the partitions `guarded`, with these tokens. Until the
-- transaction ends, no other client takes them.
--
-- MS005: a lease was lost.
CREATE FUNCTION {fenced}(
    guarded uuid[], tokens uuid[],
    c text, s uuid, ids uuid[], expected uuid[], drawn uuid,
    op_partition int[], op_round int[], op_id uuid[], op_section bytea[], op_key bytea[],
    op_value bytea[], op_expires bigint[]
) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held bigint;
BEGIN
    PERFORM 1 FROM {guards} g JOIN unnest(guarded, tokens) AS t(i, token)
        ON g.id = t.i AND g.token = t.token
    WHERE g.cache = c ORDER BY g.id FOR SHARE OF g;
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held < array_length(guarded, 1) THEN
        RAISE EXCEPTION 'a guard was lost' USING ERRCODE = 'MS005';
    END IF;
    RETURN {commit}(c, s, ids, expected, drawn, op_partition, op_round, op_id, op_section, op_key,
                    op_value, op_expires);
END $$;

-- Deletes what expires before a time in a number of partitions, and the rows of as many empty
-- partitions, of sessions that changed nothing for a day, and of leases and listeners that ended a day
-- ago. Returns the number of records, or -1 if there were none.
CREATE FUNCTION {purge}(c text, s uuid, before bigint, drawn uuid, partitions int) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    due uuid[];
    held uuid[];
    purged bigint;
BEGIN
    due := ARRAY(SELECT DISTINCT partition FROM {records}
                   WHERE cache = c AND expires_on < before LIMIT partitions);
    IF due = '{}' THEN
        DELETE FROM {partitions} WHERE cache = c AND id = ANY(ARRAY(
            SELECT id FROM {partitions} WHERE cache = c AND revision = nil
            LIMIT partitions FOR UPDATE SKIP LOCKED
        )) AND revision = nil;
        DELETE FROM {guards} WHERE cache = c AND ends < now() - interval '1 day';
        DELETE FROM {listeners} WHERE cache = c AND ends < now() - interval '1 day';
        DELETE FROM {sessions} WHERE cache = c AND id = ANY(ARRAY(
            SELECT id FROM {sessions} WHERE cache = c AND id <> s AND used_at < now() - interval '1 day'
            LIMIT partitions FOR UPDATE SKIP LOCKED
        ));
        IF FOUND THEN
            -- Without these rows, the revision of the whole would be an earlier one.
            PERFORM {stamp}(c, s, drawn, NULL, '{}');
        END IF;
        RETURN -1;
    END IF;
    held := ARRAY(SELECT id FROM {partitions} WHERE cache = c AND id = ANY(due)
                    ORDER BY id FOR UPDATE);
    WITH gone AS (
        DELETE FROM {records} WHERE cache = c AND partition = ANY(held) AND expires_on < before
        RETURNING partition
    ) SELECT ARRAY(SELECT DISTINCT partition FROM gone), (SELECT count(*) FROM gone)
      INTO due, purged;
    IF due <> '{}' THEN
        UPDATE {partitions} p SET revision = CASE WHEN EXISTS (
            SELECT 1 FROM {records} r WHERE r.cache = c AND r.partition = p.id
        ) THEN drawn ELSE nil END
        WHERE p.cache = c AND p.id = ANY(due);
        PERFORM {stamp}(c, s, drawn, NULL, due);
    END IF;
    RETURN purged;
END $$;
