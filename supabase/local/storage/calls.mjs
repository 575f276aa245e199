// What the routes do about an object: each gets the call and the place that its path names.

import { findBucket } from "./buckets.mjs";
import { download, information } from "./download.mjs";
import { invalidRequest, noBucket, noObject } from "./failures.mjs";
import * as objects from "./objects.mjs";
import { readUpload } from "./upload.mjs";

const json = ({ request }) => request.json();

/** Returns what a call to sign asks for. */
async function signing(call) {
  const { expiresIn, paths } = (await json(call)) ?? {};
  // supabase-py sends a string, which the platform takes as well.
  const seconds = typeof expiresIn === "string" ? Number(expiresIn) : expiresIn;
  if (!Number.isInteger(seconds) || seconds < 1) throw invalidRequest();
  return { expiresIn: seconds, paths };
}

export async function upload(call, { bucket, name }, upsert) {
  const limits = await findBucket(call.as, bucket);
  const received = await readUpload(call.request, limits);
  const place = { bucket, name, owner: call.owner, upsert };
  return objects.putObject({ run: call.as.asCaller, files: call.files }, place, received);
}

export async function uploadSigned(call, { bucket, name }) {
  const token = call.url.searchParams.get("token");
  const allowed = await call.signatures.verify(token, { bucket, name, intent: "upload" });
  const received = await readUpload(call.request, await findBucket(call.as, bucket));
  const place = { bucket, name, owner: allowed.owner, upsert: allowed.upsert };
  return objects.putObject({ run: call.as.asService, files: call.files }, place, received);
}

export async function downloadAsCaller(call, { bucket, name }) {
  const { asCaller } = call.as;
  return download(
    call,
    await objects.findObject(asCaller, "object.get_authenticated", bucket, name),
  );
}

export async function downloadPublic(call, { bucket, name }) {
  if (!(await findBucket(call.as, bucket)).public) throw noBucket();
  return download(
    call,
    await objects.findObject(call.as.asService, "object.get_public", bucket, name),
  );
}

export async function downloadSigned(call, { bucket, name }) {
  const token = call.url.searchParams.get("token");
  await call.signatures.verify(token, { bucket, name, intent: "download" });
  return download(call, await objects.findObject(call.as.asService, "object.sign", bucket, name));
}

export async function describe(call, { bucket, name }) {
  return information(await objects.findObject(call.as.asCaller, "object.info", bucket, name));
}

export async function sign(call, { bucket, name }) {
  const { expiresIn } = await signing(call);
  await objects.findObject(call.as.asCaller, "object.sign", bucket, name);
  return { signedURL: await call.signatures.download(bucket, name, expiresIn) };
}

export async function signMany(call, { bucket }) {
  const { expiresIn, paths } = await signing(call);
  if (!areNames(paths)) throw invalidRequest();
  const found = await call.as.asCaller(
    "object.sign_many",
    (sql) =>
      sql`select name from storage.objects where bucket_id = ${bucket} and name = any(${paths})`,
  );
  const readable = new Set(found.map(({ name }) => name));
  const results = paths.map(async (path) =>
    readable.has(path)
      ? { path, error: null, signedURL: await call.signatures.download(bucket, path, expiresIn) }
      : {
          path,
          error: "Either the object does not exist or you do not have access to it",
          signedURL: null,
        },
  );
  return Promise.all(results);
}

export async function signUpload(call, { bucket, name }) {
  await objects.probeUpload(call.as, { bucket, name, owner: call.owner, upsert: call.upsert });
  return call.signatures.upload(bucket, name, call.owner, call.upsert);
}

export async function remove(call, { bucket, name }) {
  const names = name ? [name] : (await json(call))?.prefixes;
  if (!areNames(names)) throw invalidRequest();
  const removed = await objects.removeObjects(call.as, call.files, bucket, names);
  if (!name) return removed;
  // The platform says 403 where somebody else's object is; here it looks like none.
  if (removed.length === 0) throw noObject();
  return { message: "Successfully deleted" };
}

const areNames = (names) =>
  Array.isArray(names) && names.every((name) => typeof name === "string");
