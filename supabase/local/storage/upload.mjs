// An upload's bytes and what the client says of them, raw or as a form.

import { invalidMimeType, tooLarge } from "./failures.mjs";
import { readBody } from "./files.mjs";

const LIMIT_BYTES = 50 * 1024 * 1024;
const FORM_OVERHEAD_BYTES = 64 * 1024;

/**
 * Returns `{bytes, mimetype, cacheControl, userMetadata}`, within the bucket's limits.
 *
 * @param {Request} request
 * @param {{file_size_limit: ?number, allowed_mime_types: ?string[]}} bucket
 */
export async function readUpload(request, bucket) {
  const limit = Math.min(bucket.file_size_limit ?? LIMIT_BYTES, LIMIT_BYTES);
  const body = await readBody(request, limit + FORM_OVERHEAD_BYTES);
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  const upload = type.startsWith("multipart/form-data")
    ? await fromForm(body, type)
    : fromHeaders(body, type, request.headers);
  if (upload.bytes.byteLength > limit) throw tooLarge();
  if (!isAllowed(upload.mimetype, bucket.allowed_mime_types)) {
    throw invalidMimeType(upload.mimetype);
  }
  return upload;
}

async function fromForm(body, type) {
  const form = await new Response(body, { headers: { "content-type": type } }).formData();
  const file = [...form.values()].find((value) => value instanceof Blob);
  const metadata = form.get("metadata");
  return {
    bytes: file ? Buffer.from(await file.arrayBuffer()) : Buffer.alloc(0),
    mimetype: file?.type || "application/octet-stream",
    cacheControl: cacheControl(form.get("cacheControl")),
    userMetadata: metadata ? JSON.parse(metadata) : null,
  };
}

function fromHeaders(bytes, mimetype, headers) {
  const metadata = headers.get("x-metadata");
  return {
    bytes,
    mimetype,
    cacheControl: headers.get("cache-control") ?? "no-cache",
    userMetadata: metadata ? JSON.parse(Buffer.from(metadata, "base64").toString()) : null,
  };
}

const cacheControl = (seconds) => (seconds ? `max-age=${seconds}` : "no-cache");

function isAllowed(mimetype, allowed) {
  if (!allowed?.length) return true;
  const [type] = mimetype.split(";");
  return allowed.some((entry) =>
    entry.endsWith("/*") ? type.startsWith(entry.slice(0, -1)) : entry === type,
  );
}
