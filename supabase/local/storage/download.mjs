// What a client gets of an object: its bytes with their headers, or a description.

/** Returns the response that carries the object's bytes. */
export function download({ request, url, files }, object) {
  const { mimetype, size, cacheControl, eTag, lastModified } = object.metadata;
  const headers = new Headers({
    // As on the platform: a page in a bucket is shown, never run.
    "Content-Type": mimetype.startsWith("text/html") ? "text/plain" : mimetype,
    "Content-Length": String(size),
    "Cache-Control": cacheControl,
    ETag: eTag,
    "Last-Modified": new Date(lastModified).toUTCString(),
    "X-Content-Type-Options": "nosniff",
  });
  if (url.searchParams.has("download")) {
    const name = url.searchParams.get("download") || object.name.split("/").at(-1);
    headers.set("Content-Disposition", `attachment; filename*=UTF-8''${encodeURIComponent(name)}`);
  }
  return new Response(request.method === "HEAD" ? null : files.read(object.version), { headers });
}

/** Returns the object's description. */
export function information(object) {
  const { id, name, version, bucket_id, created_at, updated_at, metadata, user_metadata } = object;
  return {
    id,
    name,
    version,
    bucket_id,
    size: metadata.size,
    content_type: metadata.mimetype,
    cache_control: metadata.cacheControl,
    etag: metadata.eTag,
    last_modified: metadata.lastModified,
    metadata: user_metadata ?? {},
    created_at,
    updated_at,
  };
}
