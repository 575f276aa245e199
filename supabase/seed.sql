-- A first assistant, so that a session needs nothing but a title. Where a default is chosen already
-- nothing changes.

insert into public.assistants (id, user_id, name, description, instructions, model, visibility)
select first.*
from (
    values (
        '00000000-0000-4000-8000-000000000001'::uuid, null::text, 'Demo assistant',
        'Answers without a key. It is no language model.',
        'You are a helpful assistant.', 'offline:demo', 'everyone'
    )
) as first -- noqa: AM04
where exists (select from engine.settings where default_assistant_id is null)
on conflict (id) do nothing;

update engine.settings
set default_assistant_id = '00000000-0000-4000-8000-000000000001'
where default_assistant_id is null;
