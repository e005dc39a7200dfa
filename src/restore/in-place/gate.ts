import type { Db } from '../../postgres/db.ts'
import { withoutEventTriggers } from '../../postgres/event-triggers.ts'
import { endSessions } from '../../postgres/login.ts'
import type { Session } from '../../postgres/session.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'

/**
 * Creates the gate: a function with our rights that the login of a restore may call, and that does what our own session has put into a
 * table for it, once. So statements that a login without rights may not run become part of its transaction, and code of the application,
 * which runs as the login, finds nothing to do there: only we can write the table.
 *
 * The settings of the login do not count in it: with standard_conforming_strings off, for example, a text could end its literal.
 *
 * @param sql our own session, in the database
 * @param login the only one that may call it; also the name of the schema
 */
export async function createGate(sql: Db, login: string): Promise<void> {
  const schema = quoteIdent(login)
  await withoutEventTriggers(sql, [
    `create schema ${schema}`,
    `create table ${schema}.work (n int generated always as identity primary key, asks boolean not null, statement text not null)`,
    `create function ${schema}.run(which int) returns pg_catalog.jsonb language plpgsql security definer ${fixed} as $gate$
     declare one record; answer pg_catalog.jsonb := '[]';
     begin
       delete from ${schema}.work where n = which returning asks, statement into strict one;
       if one.asks then
         execute 'select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q)), ''[]'') from (' || one.statement || ') q' into answer;
       else
         execute one.statement;
       end if;
       return answer;
     end $gate$`,
    withoutDefaultPrivileges(login),
    `grant usage on schema ${schema} to ${quoteIdent(login)}`,
    `grant execute on function ${schema}.run(int) to ${quoteIdent(login)}`,
  ])
}

const fixed = [
  ...['search_path = pg_catalog, pg_temp', 'standard_conforming_strings = on', 'check_function_bodies = off'],
  ...['xmloption = content', 'row_security = off', "datestyle = 'ISO, MDY'", "intervalstyle = 'postgres'"],
  ...["default_tablespace = ''", "default_table_access_method = 'heap'", 'quote_all_identifiers = off'],
  ...['transform_null_equals = off'],
]
  .map((setting) => `set ${setting}`)
  .join(' ')

/** Default privileges of our own might let others in. */
const withoutDefaultPrivileges = (login: string) => `do $$ declare r record; begin
  for r in select 'schema ' || pg_catalog.quote_ident(n.nspname) as what, a.grantee from pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
            where n.nspname = ${quoteLiteral(login)} and a.grantee <> n.nspowner
           union select 'table ' || c.oid::pg_catalog.regclass::text, a.grantee from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
            where c.relnamespace = ${quoteLiteral(login)}::pg_catalog.regnamespace and a.grantee <> c.relowner
           union select 'function ' || p.oid::pg_catalog.regprocedure::text, a.grantee from pg_catalog.pg_proc p,
                        pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
            where p.pronamespace = ${quoteLiteral(login)}::pg_catalog.regnamespace and a.grantee <> p.proowner loop
    execute pg_catalog.format('revoke all on %s from %s', r.what,
      case r.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.grantee)) end);
  end loop; end $$`

/**
 * Removes the gate and its login, with whatever a run that was killed left there, without event triggers: they would run with our rights.
 * @param sql our own session, in the database of the gate
 */
export async function dropGate(sql: Db, login: string): Promise<void> {
  await endSessions(sql, login)
  const [role] = await sql.unsafe(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(login)} and pg_catalog.pg_has_role(session_user, oid, 'USAGE')`,
  )
  const name = quoteIdent(login)
  await withoutEventTriggers(sql, [
    `drop schema if exists ${name} cascade`,
    ...(role ? [`drop owned by ${name}`, `drop role ${name}`] : []),
  ])
}

/** Forgets what was not done, once the transaction of the login has ended. */
export const emptyGate = (sql: Db, login: string) => sql.unsafe(`truncate ${quoteIdent(login)}.work`)

/** Our statements in an open transaction of our own session: what would end it means nothing. */
export const withinTransaction = (sql: Session['sql']): Session['sql'] =>
  ({
    unsafe: (statement: string) => (endsTransaction.test(statement) ? Promise.resolve([]) : sql.unsafe(statement)),
  }) as unknown as Session['sql']

const endsTransaction = /^(begin|commit|rollback|;)$/

/**
 * Our statements in the transaction of the login: each is put into the table by our own session, and done by the session of the login.
 * What would end the transaction means nothing here. In a query, session_user is our user.
 */
export function throughGate(ours: Db, theirs: Session['sql'], login: string, user: string): Session['sql'] {
  const schema = quoteIdent(login)
  const unsafe = async (statement: string): Promise<unknown[]> => {
    if (endsTransaction.test(statement)) return []
    const asks = /^\s*(select|with)\b/i.test(statement)
    const text = asks ? statement.replaceAll(/\bsession_user\b/g, `${quoteLiteral(user)}::pg_catalog.name`) : statement
    const [work] = await ours.unsafe<{ n: number }[]>(
      `insert into ${schema}.work (asks, statement) values (${asks}, ${quoteLiteral(text)}) returning n`,
    )
    const [row] = await theirs.unsafe<{ answer: unknown[] }[]>(`select ${schema}.run(${work!.n}) as answer`)
    return row!.answer
  }
  return { unsafe } as unknown as Session['sql']
}
