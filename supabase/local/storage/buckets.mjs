// Buckets: rows of storage.buckets, guarded by its policies.

import { noBucket, notEmpty } from "./failures.mjs";

/** Returns the bucket whether or not the caller may see its row: its limits bind everybody. */
export async function findBucket({ asService }, id) {
  const [bucket] = await asService(
    "bucket.get",
    (sql) => sql`select * from storage.buckets where id = ${id}`,
  );
  if (!bucket) throw noBucket();
  return bucket;
}

export const listBuckets = ({ asCaller }) =>
  asCaller("bucket.list", (sql) => sql`select * from storage.buckets order by name`);

export async function getBucket({ asCaller }, id) {
  const [bucket] = await asCaller(
    "bucket.get",
    (sql) => sql`select * from storage.buckets where id = ${id}`,
  );
  if (!bucket) throw noBucket();
  return bucket;
}

export async function createBucket({ asCaller }, owner, wanted) {
  const row = {
    id: wanted.id ?? wanted.name,
    name: wanted.name ?? wanted.id,
    public: wanted.public ?? false,
    file_size_limit: wanted.file_size_limit ?? null,
    allowed_mime_types: wanted.allowed_mime_types ?? null,
    owner,
    owner_id: owner,
  };
  await asCaller("bucket.create", (sql) => sql`insert into storage.buckets ${sql(row)}`);
  return { name: row.name };
}

export async function updateBucket({ asCaller }, id, wanted) {
  const known = ["public", "file_size_limit", "allowed_mime_types"];
  const row = Object.fromEntries(
    known.filter((key) => key in wanted).map((key) => [key, wanted[key]]),
  );
  const updated = await asCaller(
    "bucket.update",
    (sql) =>
      sql`update storage.buckets set ${sql({ ...row, updated_at: new Date().toISOString() })}
        where id = ${id}`,
  );
  if (updated.count === 0) throw noBucket();
  return { message: "Successfully updated" };
}

export async function deleteBucket({ asCaller, asService }, id) {
  const [found] = await asService(
    "bucket.delete",
    (sql) => sql`select 1 from storage.objects where bucket_id = ${id} limit 1`,
  );
  if (found) throw notEmpty();
  const deleted = await asCaller(
    "bucket.delete",
    (sql) => sql`delete from storage.buckets where id = ${id}`,
  );
  if (deleted.count === 0) throw noBucket();
  return { message: "Successfully deleted" };
}

export async function emptyBucket({ asCaller }, files, id) {
  await getBucket({ asCaller }, id);
  const removed = await asCaller(
    "bucket.empty",
    (sql) => sql`delete from storage.objects where bucket_id = ${id} returning version`,
  );
  await files.remove(removed.map(({ version }) => version));
  return { message: "Successfully emptied" };
}
