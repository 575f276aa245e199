-- Who may do what with the bucket `attachments` (rows of storage.objects, by way of Supabase Storage)
--
--                | owner of the folder               | other users | anonymous | service role
--   select       | own folder: download, list, sign  | nothing     | nothing   | everything
--   insert       | <own id>/<uuid>/<file name>       | refused     | refused   | everything
--   update       | refused: delete, then add         | refused     | refused   | everything
--   delete       | own folder                        | nothing     | nothing   | everything
--
-- All of it only with a token that counts: of the issuer in engine.settings, and not pending.
-- No update: it would also rename, move and replace, and a message that refers to a file would show
-- another one. No copies: Storage measures uploads alone, and a copy from another bucket would get
-- past the limits. The restrictive policies hold against whatever else a project allows on the table.
--
-- The bucket is private, 20 MB for a file. Types are what people attach and models read; nothing that
-- a browser runs (HTML, SVG). Storage believes the type that the client declares: whoever parses a
-- file looks at its bytes. The type with a charset is what supabase-js declares for a string.
-- Limits that somebody has set stay; a public bucket of that name is left alone, with a warning.
--
-- On a hosted project the tables are the platform's: where their owner refuses, paste this file into
-- the SQL editor.

set lock_timeout = '5s';

do $do$
begin
    if to_regclass('storage.buckets') is null or not exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass('storage.objects') and a.attname = 'owner_id'
    ) then
        return;
    end if;

    insert into storage.buckets (id, name, public) values ('attachments', 'attachments', false)
    on conflict do nothing;
    if exists (select from storage.buckets as b where b.id = 'attachments' and b.public) then
        raise warning 'Attachments are not set up: there is a public bucket of that name';
        return;
    end if;
    update storage.buckets as b
    set
        file_size_limit = coalesce(b.file_size_limit, 20 * 1024 * 1024),
        allowed_mime_types = coalesce(b.allowed_mime_types, array[
            'image/png', 'image/jpeg', 'image/webp', 'image/gif',
            'application/pdf', 'application/json',
            'text/plain', 'text/plain;charset=UTF-8', 'text/markdown', 'text/csv',
            'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
            'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
            'application/vnd.openxmlformats-officedocument.presentationml.presentation'
        ])
    where b.id = 'attachments' and (b.file_size_limit is null or b.allowed_mime_types is null);

    drop policy if exists "users read their own attachments" on storage.objects;
    create policy "users read their own attachments" on storage.objects
    for select to authenticated
    using (bucket_id = 'attachments' and split_part(name, '/', 1) = (select auth.jwt()) ->> 'sub');

    drop policy if exists "users add attachments to their own folder" on storage.objects;
    create policy "users add attachments to their own folder" on storage.objects
    for insert to authenticated
    with check (bucket_id = 'attachments' and split_part(name, '/', 1) = (select auth.jwt()) ->> 'sub');

    drop policy if exists "users delete their own attachments" on storage.objects;
    create policy "users delete their own attachments" on storage.objects
    for delete to authenticated
    using (bucket_id = 'attachments' and split_part(name, '/', 1) = (select auth.jwt()) ->> 'sub');

    drop policy if exists "nobody reaches another user's attachments" on storage.objects;
    create policy "nobody reaches another user's attachments" on storage.objects
    as restrictive for all to authenticated
    using (
        bucket_id is distinct from 'attachments' or (
            split_part(name, '/', 1) = (select nullif((select auth.jwt()) ->> 'sub', ''))
            and (select engine.token_is_trusted())
        )
    )
    with check (
        bucket_id is distinct from 'attachments' or (
            split_part(name, '/', 1) = (select nullif((select auth.jwt()) ->> 'sub', ''))
            and (select engine.token_is_trusted())
        )
    );

    drop policy if exists "attachments are uploads with a uuid and an owner" on storage.objects;
    create policy "attachments are uploads with a uuid and an owner" on storage.objects
    as restrictive for insert to authenticated
    with check (
        bucket_id is distinct from 'attachments' or (
            name ~ '^[^/]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/(?!\.{1,2}$)[^/]{1,255}$'
            and owner_id = (select auth.jwt()) ->> 'sub'
            and coalesce(current_setting('storage.operation', true), '') !~ '[._]copy$'
        )
    );

    drop policy if exists "attachments never change" on storage.objects;
    create policy "attachments never change" on storage.objects
    as restrictive for update to authenticated
    using (bucket_id is distinct from 'attachments')
    with check (bucket_id is distinct from 'attachments');

    drop policy if exists "visitors have no attachments" on storage.objects;
    create policy "visitors have no attachments" on storage.objects
    as restrictive for all to anon
    using (bucket_id is distinct from 'attachments')
    with check (bucket_id is distinct from 'attachments');
exception
    when insufficient_privilege then
        raise warning 'Attachments are not set up: paste supabase/policies/storage/objects.sql into the SQL editor';
end
$do$;
