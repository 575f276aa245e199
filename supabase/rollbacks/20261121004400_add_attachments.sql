-- Purpose:   undoes the bucket for attachments and its policies.
-- Guarantee: no file is lost: a bucket that holds some stays, and none of our policies opens it.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

do $do$
begin
    if to_regclass('storage.objects') is null or to_regclass('storage.buckets') is null then
        return;
    end if;
    drop policy if exists "users read their own attachments" on storage.objects;
    drop policy if exists "users add attachments to their own folder" on storage.objects;
    drop policy if exists "users delete their own attachments" on storage.objects;
    drop policy if exists "nobody reaches another user's attachments" on storage.objects;
    drop policy if exists "attachments are uploads with a uuid and an owner" on storage.objects;
    drop policy if exists "attachments never change" on storage.objects;
    drop policy if exists "visitors have no attachments" on storage.objects;

    begin
        -- Storage guards against deletions that would leave bytes behind; there are none.
        perform set_config('storage.allow_delete_query', 'true', true);
        delete from storage.buckets as b
        where b.id = 'attachments' and not b.public
        and not exists (select from storage.objects as o where o.bucket_id = b.id);
        perform set_config('storage.allow_delete_query', '', true);
    exception
        when foreign_key_violation then
            raise notice 'The bucket stays: an upload is under way';
    end;
exception
    when insufficient_privilege then
        raise warning 'Attachments are still set up: drop their policies in the SQL editor';
end
$do$;
