// An upload's bytes and what the client says of them, raw or as a form.

import { invalidMimeType, invalidRequest, tooLarge } from "./failures.mjs";
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
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  const isForm = type.startsWith("multipart/form-data");
  if (!isForm) checkType(type, bucket);
  const body = await readBody(request, limit + FORM_OVERHEAD_BYTES);
  const upload = isForm ? await fromForm(body, type) : fromHeaders(body, type, request.headers);
  checkType(upload.mimetype, bucket);
  if (upload.bytes.byteLength > limit) throw tooLarge();
  return upload;
}

async function fromForm(body, type) {
  const form = await new Response(body, { headers: { "content-type": type } })
    .formData()
    .catch(() => {
      throw invalidRequest();
    });
  const file = [...form.values()].find((value) => value instanceof Blob);
  const metadata = form.get("metadata");
  return {
    bytes: file ? Buffer.from(await file.arrayBuffer()) : Buffer.alloc(0),
    // As the platform's parser of forms: without parameters such as a charset.
    mimetype: form.get("contentType") || file?.type.split(";")[0] || "application/octet-stream",
    cacheControl: cacheControl(form.get("cacheControl")),
    userMetadata: parsed(metadata),
  };
}

function fromHeaders(bytes, mimetype, headers) {
  const metadata = headers.get("x-metadata");
  return {
    bytes,
    mimetype,
    cacheControl: headers.get("cache-control") ?? "no-cache",
    userMetadata: parsed(metadata && Buffer.from(metadata, "base64").toString()),
  };
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

const cacheControl = (seconds) => (seconds ? `max-age=${seconds}` : "no-cache");

/** Refuses a declared type that the bucket does not name, letter for letter as on the platform. */
function checkType(mimetype, { allowed_mime_types: allowed }) {
  if (!allowed?.length) return;
  const isAllowed = allowed.some((entry) =>
    entry.endsWith("/*") ? mimetype.startsWith(entry.slice(0, -1)) : entry === mimetype,
  );
  if (!isAllowed) throw invalidMimeType(mimetype);
}
