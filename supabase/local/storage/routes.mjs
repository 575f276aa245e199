// /storage/v1: the part of Supabase Storage that the official clients call, without resumable
// uploads and image transformations.

import * as buckets from "./buckets.mjs";
import { transactions } from "./database.mjs";
import { download, information } from "./download.mjs";
import { StorageFailure, noBucket } from "./failures.mjs";
import { Files } from "./files.mjs";
import * as objects from "./objects.mjs";
import { Signatures } from "./signatures.mjs";
import { readUpload } from "./upload.mjs";

const BUCKET = "(?<bucket>[^/]+)";
const NAME = "(?<name>.+)";

/** Returns the handler of /storage/v1 for a caller who is already identified. */
export function storageHandler(connection, { storage_folder, storage_secret }) {
  const files = new Files(storage_folder);
  const signatures = new Signatures(storage_secret);
  return async (request, caller) => {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname.replace("/storage/v1", ""));
    const owner = caller.role === "service_role" ? null : (caller.claims.sub ?? null);
    const as = transactions(connection, request, caller);
    const call = { request, url, as, files, signatures, owner, upsert: isUpsert(request) };
    try {
      for (const [method, pattern, handle] of ROUTES) {
        const match = method.includes(request.method) && pattern.exec(path);
        if (match) return asResponse(await handle(call, match.groups ?? {}));
      }
      return Response.json({ statusCode: "404", error: "Not Found", message: "No such route" }, { status: 404 });
    } catch (error) {
      if (error instanceof StorageFailure) return error.toResponse();
      throw error;
    }
  };
}

const asResponse = (result) => (result instanceof Response ? result : Response.json(result));
const isUpsert = (request) => request.headers.get("x-upsert") === "true";
const route = (methods, path, handle) => [methods.split(" "), new RegExp(`^${path}$`), handle];
const json = ({ request }) => request.json();

async function upload(call, { bucket, name }, upsert) {
  const limits = await buckets.findBucket(call.as, bucket);
  const received = await readUpload(call.request, limits);
  const place = { bucket, name, owner: call.owner, upsert };
  return objects.putObject({ run: call.as.asCaller, files: call.files }, place, received);
}

async function uploadSigned(call, { bucket, name }) {
  const token = call.url.searchParams.get("token");
  const allowed = await call.signatures.verify(token, { bucket, name, intent: "upload" });
  const received = await readUpload(call.request, await buckets.findBucket(call.as, bucket));
  const place = { bucket, name, owner: allowed.owner, upsert: allowed.upsert };
  return objects.putObject({ run: call.as.asService, files: call.files }, place, received);
}

async function downloadAsCaller(call, { bucket, name }) {
  const { asCaller } = call.as;
  return download(call, await objects.findObject(asCaller, "object.get_authenticated", bucket, name));
}

async function downloadPublic(call, { bucket, name }) {
  if (!(await buckets.findBucket(call.as, bucket)).public) throw noBucket();
  return download(call, await objects.findObject(call.as.asService, "object.get_public", bucket, name));
}

async function downloadSigned(call, { bucket, name }) {
  const token = call.url.searchParams.get("token");
  await call.signatures.verify(token, { bucket, name, intent: "download" });
  return download(call, await objects.findObject(call.as.asService, "object.sign", bucket, name));
}

async function describe(call, { bucket, name }) {
  return information(await objects.findObject(call.as.asCaller, "object.info", bucket, name));
}

async function sign(call, { bucket, name }) {
  const { expiresIn } = await json(call);
  await objects.findObject(call.as.asCaller, "object.sign", bucket, name);
  return { signedURL: await call.signatures.download(bucket, name, expiresIn) };
}

async function signMany(call, { bucket }) {
  const { expiresIn, paths } = await json(call);
  const found = await call.as.asCaller("object.sign_many", (sql) =>
    sql`select name from storage.objects where bucket_id = ${bucket} and name = any(${paths})`);
  const readable = new Set(found.map(({ name }) => name));
  const results = paths.map(async (path) =>
    readable.has(path)
      ? { path, error: null, signedURL: await call.signatures.download(bucket, path, expiresIn) }
      : { path, error: "Either the object does not exist or you do not have access to it", signedURL: null },
  );
  return Promise.all(results);
}

async function signUpload(call, { bucket, name }) {
  objects.checkKey(name);
  await objects.probeUpload(call.as, { bucket, name, owner: call.owner });
  return call.signatures.upload(bucket, name, call.owner, call.upsert);
}

async function remove(call, { bucket, name }) {
  const names = name ? [name] : (await json(call)).prefixes;
  const removed = await objects.removeObjects(call.as, call.files, bucket, names);
  return name ? { message: "Successfully deleted" } : removed;
}

const ROUTES = [
  route("GET", "/bucket", ({ as }) => buckets.listBuckets(as)),
  route("POST", "/bucket", async (call) => buckets.createBucket(call.as, call.owner, await json(call))),
  route("POST", `/bucket/${BUCKET}/empty`, ({ as, files }, { bucket }) => buckets.emptyBucket(as, files, bucket)),
  route("GET", `/bucket/${BUCKET}`, ({ as }, { bucket }) => buckets.getBucket(as, bucket)),
  route("PUT", `/bucket/${BUCKET}`, async (call, { bucket }) => buckets.updateBucket(call.as, bucket, await json(call))),
  route("DELETE", `/bucket/${BUCKET}`, ({ as }, { bucket }) => buckets.deleteBucket(as, bucket)),
  route("POST", `/object/list/${BUCKET}`, async (call, { bucket }) => objects.listObjects(call.as, bucket, await json(call))),
  route("POST", "/object/move", async (call) => objects.moveObject(call.as, await json(call))),
  route("POST", "/object/copy", async (call) => objects.copyObject(call, await json(call))),
  route("GET HEAD", `/object/public/${BUCKET}/${NAME}`, downloadPublic),
  route("GET HEAD", `/object/authenticated/${BUCKET}/${NAME}`, downloadAsCaller),
  route("GET", `/object/info/(?:authenticated/)?${BUCKET}/${NAME}`, describe),
  route("GET", `/object/sign/${BUCKET}/${NAME}`, downloadSigned),
  route("POST", `/object/sign/${BUCKET}/${NAME}`, sign),
  route("POST", `/object/sign/${BUCKET}`, signMany),
  route("POST", `/object/upload/sign/${BUCKET}/${NAME}`, signUpload),
  route("PUT", `/object/upload/sign/${BUCKET}/${NAME}`, uploadSigned),
  route("GET HEAD", `/object/${BUCKET}/${NAME}`, downloadAsCaller),
  route("POST", `/object/${BUCKET}/${NAME}`, (call, place) => upload(call, place, call.upsert)),
  route("PUT", `/object/${BUCKET}/${NAME}`, (call, place) => upload(call, place, true)),
  route("DELETE", `/object/${BUCKET}(?:/${NAME})?`, remove),
];
