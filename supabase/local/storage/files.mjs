// The bytes of objects: one file for each version, named by the version's uuid and nothing else.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { tooLarge } from "./failures.mjs";

/** Files in a folder of their own. */
export class Files {
  #folder;

  constructor(folder) {
    this.#folder = folder;
  }

  /** Stores the bytes and returns `{version, eTag}`. */
  async write(bytes) {
    const version = randomUUID();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeFile(this.#path(version), bytes, { mode: 0o600 });
    return { version, eTag: `"${createHash("md5").update(bytes).digest("hex")}"` };
  }

  /** Stores a copy and returns its version. */
  async copy(version) {
    const made = randomUUID();
    await copyFile(this.#path(version), this.#path(made));
    return made;
  }

  /** Returns the bytes as a stream. */
  read(version) {
    return Readable.toWeb(createReadStream(this.#path(version)));
  }

  /** None of these versions exists any more. */
  async remove(versions) {
    await Promise.all(versions.map((version) => rm(this.#path(version), { force: true })));
  }

  #path(version) {
    return join(this.#folder, version);
  }
}

/** Returns the whole body, and reads no more than `limit` bytes of it. */
export async function readBody(request, limit) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
