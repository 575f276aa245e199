// /storage/v1: the part of Supabase Storage that the official clients call, without resumable
// uploads and image transformations.

import * as buckets from "./buckets.mjs";
import * as calls from "./calls.mjs";
import { transactions } from "./database.mjs";
import { StorageFailure, invalidRequest } from "./failures.mjs";
import { Files } from "./files.mjs";
import { listObjects } from "./listing.mjs";
import * as objects from "./objects.mjs";
import { Signatures } from "./signatures.mjs";

const BUCKET = "(?<bucket>[^/]+)";
const NAME = "(?<name>.+)";

/** Returns the handler of /storage/v1 for a caller who is already identified. */
export function storageHandler(connection, { storage_folder, storage_secret }) {
  const files = new Files(storage_folder);
  const signatures = new Signatures(storage_secret);
  return async (request, caller) => {
    const url = new URL(request.url);
    const path = unquoted(url.pathname.replace("/storage/v1", ""));
    const { sub } = caller.claims;
    const owner = caller.role !== "service_role" && typeof sub === "string" ? sub : null;
    const as = transactions(connection, request, caller);
    const call = { request, url, as, files, signatures, owner, upsert: isUpsert(request) };
    try {
      for (const [method, pattern, handle] of ROUTES) {
        const match = method.includes(request.method) && pattern.exec(path);
        if (match) return asResponse(await handle(call, match.groups ?? {}));
      }
      throw invalidRequest();
    } catch (error) {
      if (error instanceof SyntaxError) return invalidRequest().toResponse();
      if (error instanceof StorageFailure) return error.toResponse();
      throw error;
    }
  };
}

function unquoted(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

const asResponse = (result) => (result instanceof Response ? result : Response.json(result));
const isUpsert = (request) => request.headers.get("x-upsert") === "true";
const route = (methods, path, handle) => [methods.split(" "), new RegExp(`^${path}$`), handle];
const json = ({ request }) => request.json();

const ROUTES = [
  route("GET", "/bucket", ({ as }) => buckets.listBuckets(as)),
  route("POST", "/bucket", async (call) =>
    buckets.createBucket(call.as, call.owner, await json(call)),
  ),
  route("POST", `/bucket/${BUCKET}/empty`, ({ as, files }, { bucket }) =>
    buckets.emptyBucket(as, files, bucket),
  ),
  route("GET", `/bucket/${BUCKET}`, ({ as }, { bucket }) => buckets.getBucket(as, bucket)),
  route("PUT", `/bucket/${BUCKET}`, async (call, { bucket }) =>
    buckets.updateBucket(call.as, bucket, await json(call)),
  ),
  route("DELETE", `/bucket/${BUCKET}`, ({ as }, { bucket }) => buckets.deleteBucket(as, bucket)),
  route("POST", `/object/list/${BUCKET}`, async (call, { bucket }) =>
    listObjects(call.as, bucket, await json(call)),
  ),
  route("POST", "/object/move", async (call) => objects.moveObject(call.as, await json(call))),
  route("POST", "/object/copy", async (call) => objects.copyObject(call, await json(call))),
  route("GET HEAD", `/object/public/${BUCKET}/${NAME}`, calls.downloadPublic),
  route("GET HEAD", `/object/authenticated/${BUCKET}/${NAME}`, calls.downloadAsCaller),
  route("GET", `/object/info/(?:authenticated/)?${BUCKET}/${NAME}`, calls.describe),
  route("GET", `/object/sign/${BUCKET}/${NAME}`, calls.downloadSigned),
  route("POST", `/object/sign/${BUCKET}/${NAME}`, calls.sign),
  route("POST", `/object/sign/${BUCKET}`, calls.signMany),
  route("POST", `/object/upload/sign/${BUCKET}/${NAME}`, calls.signUpload),
  route("PUT", `/object/upload/sign/${BUCKET}/${NAME}`, calls.uploadSigned),
  route("GET HEAD", `/object/${BUCKET}/${NAME}`, calls.downloadAsCaller),
  route("POST", `/object/${BUCKET}/${NAME}`, (call, place) =>
    calls.upload(call, place, call.upsert),
  ),
  route("PUT", `/object/${BUCKET}/${NAME}`, (call, place) => calls.upload(call, place, true)),
  route("DELETE", `/object/${BUCKET}(?:/${NAME})?`, calls.remove),
];
