// What lies directly below a prefix, as a file browser shows it.

import { invalidRequest } from "./failures.mjs";

const SORTABLE = new Set(["name", "updated_at", "created_at", "last_accessed_at"]);

/** Returns the entries directly below a prefix: objects, and folders with null instead of an id. */
export function listObjects({ asCaller }, bucket, wanted) {
  const { limit, offset, search, sortBy } = checked(wanted);
  const prefix =
    wanted.prefix && !wanted.prefix.endsWith("/") ? `${wanted.prefix}/` : wanted.prefix;
  const column = SORTABLE.has(sortBy.column) ? sortBy.column : "name";
  const pattern = `${search.replace(/[\\%_]/g, "\\$&")}%`;
  return asCaller(
    "object.list",
    (sql) => sql`
    with below as (
      select *, substr(name, length(${prefix ?? ""}) + 1) as rest
      from storage.objects
      where bucket_id = ${bucket} and starts_with(name, ${prefix ?? ""})
    ), entries as (
      select rest as name, id, updated_at, created_at, last_accessed_at, metadata
      from below where rest <> '' and position('/' in rest) = 0
      union all
      select distinct split_part(rest, '/', 1), null::uuid, null::timestamptz, null::timestamptz,
        null::timestamptz, null::jsonb
      from below where position('/' in rest) > 0
    )
    select * from entries where name ilike ${pattern}
    order by ${sql(column)} ${sortBy.order === "desc" ? sql`desc` : sql`asc`}
    limit ${limit} offset ${offset}`,
  );
}

function checked(wanted) {
  const { limit = 100, offset = 0, sortBy, search, prefix } = wanted ?? {};
  const areCounts = [limit, offset].every((count) => Number.isInteger(count) && count >= 0);
  const isText = typeof (search ?? "") === "string" && typeof (prefix ?? "") === "string";
  if (!wanted || !areCounts || !isText) throw invalidRequest();
  return { limit, offset, search: search ?? "", sortBy: sortBy ?? {} };
}
