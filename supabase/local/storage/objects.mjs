// Objects: rows of storage.objects, guarded by its policies, each with one version of its bytes.

import { randomUUID } from "node:crypto";
import { invalidKey, noObject } from "./failures.mjs";

const VALID_KEY = /^(\w|\/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)+$/;

/** Refuses a name that the platform refuses. */
export function checkKey(name) {
  const isValid = typeof name === "string" && VALID_KEY.test(name);
  if (!isValid || name.startsWith("/") || name.length > 1024) throw invalidKey(name);
}

/** Returns the object's row if the caller may read it. */
export async function findObject(run, operation, bucket, name) {
  checkKey(name);
  const [found] = await run(
    operation,
    (sql) => sql`select * from storage.objects where bucket_id = ${bucket} and name = ${name}`,
  );
  if (!found) throw noObject();
  return found;
}

/**
 * The object has these bytes; the version that it replaces is gone.
 *
 * @param {object} context `{run, files}`: a transaction runner, and where bytes lie.
 * @param {object} place `{bucket, name, owner, upsert}`.
 * @param {object} upload As `readUpload` returns it.
 */
export async function putObject({ run, files }, { bucket, name, owner, upsert }, upload) {
  checkKey(name);
  const { version, eTag } = await files.write(upload.bytes);
  const size = upload.bytes.byteLength;
  const row = {
    id: randomUUID(),
    bucket_id: bucket,
    name,
    owner,
    owner_id: owner,
    version,
    metadata: {
      eTag,
      size,
      mimetype: upload.mimetype,
      cacheControl: upload.cacheControl,
      lastModified: new Date().toISOString(),
      contentLength: size,
      httpStatusCode: 200,
    },
    user_metadata: upload.userMetadata,
  };
  try {
    const replaced = await run("object.upload", (sql) => store(sql, row, upsert));
    await files.remove(replaced);
  } catch (error) {
    await files.remove([version]);
    throw error;
  }
  return { Id: row.id, Key: `${bucket}/${name}` };
}

// Without RETURNING: a caller may be allowed to add what it may not read.
async function store(sql, row, upsert) {
  if (!upsert) {
    await sql`insert into storage.objects ${sql(row)}`;
    return [];
  }
  const before = await sql`
    select id, version from storage.objects
    where bucket_id = ${row.bucket_id} and name = ${row.name} for update`;
  await sql`
    insert into storage.objects ${sql(row)}
    on conflict (bucket_id, name) do update set
      version = excluded.version, metadata = excluded.metadata, owner = excluded.owner,
      owner_id = excluded.owner_id, user_metadata = excluded.user_metadata, updated_at = now()`;
  if (before.length > 0) row.id = before[0].id;
  return before.map(({ version }) => version);
}

/** Refuses if the caller may not add the object; adds nothing. */
export async function probeUpload({ asCaller }, { bucket, name, owner, upsert }) {
  checkKey(name);
  const row = { bucket_id: bucket, name, owner, owner_id: owner };
  await asCaller("object.sign_upload_url", async (sql) => {
    await sql`savepoint probe`;
    await store(sql, row, upsert);
    await sql`rollback to savepoint probe`;
  });
}

/** These objects are gone as far as the caller may delete them; returns their rows. */
export async function removeObjects({ asCaller }, files, bucket, names) {
  const removed = await asCaller(
    "object.delete_many",
    (sql) =>
      sql`delete from storage.objects where bucket_id = ${bucket} and name = any(${names}) returning *`,
  );
  await files.remove(removed.map(({ version }) => version));
  return removed;
}

/** The object has another name, perhaps in another bucket. */
export async function moveObject({ asCaller }, { bucketId, sourceKey, ...to }) {
  checkKey(to.destinationKey);
  const source = await findObject(asCaller, "object.move", bucketId, sourceKey);
  const target = { bucket_id: to.destinationBucket ?? bucketId, name: to.destinationKey };
  const moved = await asCaller(
    "object.move",
    (sql) =>
      sql`update storage.objects set ${sql(target)}, updated_at = now() where id = ${source.id}`,
  );
  if (moved.count === 0) throw noObject();
  return { message: "Successfully moved" };
}

/** There is a second object with the same bytes. */
export async function copyObject({ as, files, owner, upsert }, { bucketId, sourceKey, ...to }) {
  const { asCaller } = as;
  checkKey(to.destinationKey);
  const source = await findObject(asCaller, "object.copy", bucketId, sourceKey);
  const bucket = to.destinationBucket ?? bucketId;
  const version = await files.copy(source.version);
  const row = {
    id: randomUUID(),
    bucket_id: bucket,
    name: to.destinationKey,
    owner,
    owner_id: owner,
    version,
    metadata: source.metadata,
    user_metadata: source.user_metadata,
  };
  try {
    await files.remove(await asCaller("object.copy", (sql) => store(sql, row, upsert)));
  } catch (error) {
    await files.remove([version]);
    throw error;
  }
  return { Id: row.id, Key: `${bucket}/${to.destinationKey}` };
}
