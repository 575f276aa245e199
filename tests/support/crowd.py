"""A database with thousands of messages and runs, filled past the triggers."""

from typing import Any

USERS = 100
HOT_SESSIONS = 100
DEEP_SESSION = "00000000-0000-4000-9000-000000000001"

_FILL = """
set session_replication_role = replica;

insert into chat_sessions (id, user_id, assistant_id, title, last_message_at)
select md5(u || ' ' || s)::uuid, 'user_' || u, '00000000-0000-4000-8000-000000000001'::uuid,
    'Chat ' || s,
    now() - make_interval(mins => s)
from generate_series(1, 100) as u, generate_series(1, 40) as s
union all
select '00000000-0000-4000-9000-000000000001', 'user_1', '00000000-0000-4000-8000-000000000001'::uuid,
    'Deep', now();

insert into messages (id, session_id, user_id, parent_id, position, role, content, run_id)
select md5(s.id || ' ' || n)::uuid, s.id, s.user_id,
    case when n > 1 then md5(s.id || ' ' || n - 1)::uuid end,
    nextval('engine.message_positions'), case n % 2 when 1 then 'user' else 'assistant' end,
    jsonb_build_array(jsonb_build_object('type', 'text', 'text',
        'word' || n % 7 || ' dragon' || n || ' of ' || s.user_id)),
    case n % 2 when 0 then md5('run ' || s.id || n - 1)::uuid end
from chat_sessions as s,
    generate_series(1, case s.title when 'Deep' then 1000 else 5 end) as n;

update chat_sessions as s
set head_id = (select m.id from messages as m where m.session_id = s.id
    order by m.position desc limit 1);

insert into engine.runs
    (id, session_id, user_id, message_id, model, origin, status, fence, started_at, ended_at)
select md5('run ' || m.session_id || n)::uuid, m.session_id, m.user_id, m.id, 'offline:demo',
    'insert', 'completed', 1, now(), now()
from (select *, row_number() over (partition by session_id order by position) as n from messages)
    as m
where m.role = 'user';

insert into engine.events (run_id, seq, type, data)
select r.id, n, 'message.delta', '{}' from engine.runs as r, generate_series(1, 2) as n;

-- 100 hot sessions: a running head each, and 50 runs that wait behind it.
insert into chat_sessions (id, user_id, assistant_id, title)
select md5('hot ' || s)::uuid, 'user_hot', '00000000-0000-4000-8000-000000000001', 'Hot'
from generate_series(1, 100) as s;
insert into messages (id, session_id, user_id, position, content)
select md5('hot ' || s || ' ' || n)::uuid, md5('hot ' || s)::uuid, 'user_hot',
    nextval('engine.message_positions'), '[{"type": "text", "text": "next"}]'
from generate_series(0, 50) as n, generate_series(1, 100) as s;
insert into engine.runs
    (session_id, user_id, message_id, model, origin, status, fence, worker, lease_until,
    expires_at)
select md5('hot ' || s)::uuid, 'user_hot', md5('hot ' || s || ' ' || n)::uuid, 'offline:demo',
    'insert', case n when 0 then 'running' else 'waiting' end, 1, 'worker_1',
    case n when 0 then now() + interval '1 hour' end, now() + interval '1 hour'
from generate_series(0, 50) as n, generate_series(1, 100) as s;

reset session_replication_role;
vacuum analyze;
"""


async def fill(connection: Any) -> None:
    """100 users have 40 sessions of 5 messages; one session has 1,000; 5,000 runs wait."""
    for statement in _FILL.split(";\n"):
        if statement.strip():
            await connection.execute(statement)
