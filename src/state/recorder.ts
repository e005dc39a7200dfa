// pure
import { quoteLiteral, quoteName } from '../sql/quote.ts'

/** Which rows of a table a run may write: new ones after `after`, and the existing ones in `seqs`. */
export type Writable = { after: number; seqs: readonly number[] }

export type RecorderOptions = {
  /** Name of the procedure, in schema pgbosun. */
  name: string
  /** The user that the run logged in as, for `applied_by`. */
  actor: string
  migrations: Writable
  details: Writable
  /** Names of the seeds that the run loads. */
  seeds: readonly string[]
  /** Names of the imports that the run does. */
  imports: readonly string[]
}

/**
 * A procedure that writes the records of one run with the rights of its owner, for a session that lacks them. It can do only what this
 * run is about to do: it adds rows after the newest, and changes those that the run resumes or undoes. It exists as long as the run.
 * See docs/decisions/.
 */
export const createRecorder = ({ name, actor, ...writable }: RecorderOptions) => `${dropRecorders};
create procedure ${quoteName('pgbosun', name)}(op text, t text, r jsonb) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as ${quoteLiteral(body(actor, writable))};
revoke all on procedure ${quoteName('pgbosun', name)} from public`

/** A statement that records something through the procedure. It returns no row. */
export const callRecorder = (recorder: string, op: string, table: string, row: Record<string, unknown>) =>
  `call ${recorder}('${op}', '${table}', ${quoteLiteral(JSON.stringify(row))})`

const allowed = ({ after, seqs }: Writable) =>
  seqs.length === 0 ? `n > ${after}` : `(n > ${after} or n in (${seqs.join(', ')}))`

const written = `name = r ->> 'name', sha256 = r ->> 'sha256', status = r ->> 'status', progress = null,
        duration_ms = (r ->> 'duration_ms')::int, applied_at = pg_catalog.clock_timestamp(), tool_version = r ->> 'tool_version'`

function body(
  actor: string,
  { migrations, details, seeds, imports }: Pick<RecorderOptions, 'migrations' | 'details' | 'seeds' | 'imports'>,
): string {
  const table = (name: string, writable: Writable, columns: string, values: string, removed: string) => `
  if t = '${name}' then
    if not ${allowed(writable)} then raise insufficient_privilege using message = 'this run has nothing to do with row ' || n; end if;
    case op
      when 'insert' then
        if n <= ${writable.after} then raise insufficient_privilege using message = 'row ' || n || ' is there already'; end if;
        insert into pgbosun.${name} (seq, previous, name, sha256, status, tool_version, applied_by, ${columns})
        values (n, (r ->> 'previous')::int, r ->> 'name', r ->> 'sha256', r ->> 'status', r ->> 'tool_version', ${quoteLiteral(actor)}, ${values});
      when 'finish' then update pgbosun.${name} set ${written} where seq = n and status = 'started';
      when 'progress' then update pgbosun.${name} set progress = nullif(r -> 'progress', 'null'::jsonb) where seq = n;
      when 'remove' then ${removed}
    end case;
    return;
  end if;`
  return `
declare n int := (r ->> 'seq')::int;
begin${table(
    'migrations',
    migrations,
    'version',
    `(r ->> 'version')::bigint`,
    `
        update pgbosun.migrations set previous = (select m.previous from pgbosun.migrations m where m.seq = n) where previous = n;
        delete from pgbosun.migrations where seq = n;`,
  )}${table(
    'migration_details',
    details,
    'history, id',
    `r ->> 'history', r ->> 'id'`,
    `update pgbosun.migration_details set status = 'undone', progress = null where seq = n;`,
  )}
  if t = 'seeds' and op = 'insert' and r ->> 'name' in (${['', ...seeds].map(quoteLiteral).join(', ')}) then
    insert into pgbosun.seeds as s (name, checksum, rows, applied_at, tool_version)
    values (r ->> 'name', r ->> 'checksum', (r ->> 'rows')::bigint, pg_catalog.clock_timestamp(), r ->> 'tool_version')
    on conflict (name) do update set checksum = excluded.checksum, rows = excluded.rows,
      applied_at = excluded.applied_at, tool_version = excluded.tool_version;
    return;
  end if;
  if t = 'imports' and op = 'insert' and r ->> 'name' in (${['', ...imports].map(quoteLiteral).join(', ')}) then
    insert into pgbosun.imports (name, source, rows, imported_at, tool_version)
    values (r ->> 'name', r -> 'source', (r ->> 'rows')::bigint, pg_catalog.clock_timestamp(), r ->> 'tool_version');
    return;
  end if;
  raise insufficient_privilege using message = 'there is no such record';
end`
}

/** Drops the procedures of killed runs. Run it only while holding the lock of the database. */
const dropRecorders = `do $$ declare found record; begin
  for found in select p.oid::regprocedure as name from pg_catalog.pg_proc p
            where p.pronamespace = 'pgbosun'::regnamespace and p.prokind = 'p' and p.proname ~ '^pgbosun_[0-9a-f]{8}_[0-9a-f]{8}$' loop
    execute 'drop procedure ' || found.name;
  end loop; end $$`
