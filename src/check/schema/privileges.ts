// pure
import { catalog, lines } from './sql.ts'

const aclLines = (acl: string) => lines('a::text', `from pg_catalog.unnest(${acl}) a`)

/** SQL: owners and privileges of objects and columns. A null ACL counts as the default privileges written out. */
export const privilegeFacts = `
  select o.class, o.id, f.what, f.value, null, null, null, 0 from objects o
   cross join lateral (values ('owner', pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner))),
     ('privileges', ${aclLines('coalesce(o.acl, pg_catalog.acldefault(o.acl_kind::"char", o.owner))')})) f(what, value)
   where o.owner is not null and (f.what = 'owner' or o.acl_kind is not null)
  union all
  select o.class, o.id, 'privileges of column ' || pg_catalog.quote_ident(a.attname), ${aclLines('a.attacl')}, null, null, null, 0
    from objects o join pg_catalog.pg_attribute a on o.class = ${catalog('pg_class')} and a.attrelid = o.id and a.attnum > 0 and not a.attisdropped
   where a.attacl is not null
  union all
  select o.class, o.id, 'privileges', ${aclLines('d.defaclacl')}, null, null, null, 0
    from objects o join pg_catalog.pg_default_acl d on o.class = ${catalog('pg_default_acl')} and d.oid = o.id`

/** SQL: default privileges as separate objects; appended to the other objects. */
export const defaultPrivileges = `
  select ${catalog('pg_default_acl')}, d.oid, 'default privileges', pg_catalog.concat_ws(' ', 'for', pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole)),
         'in schema ' || pg_catalog.quote_ident(n.nspname), 'on',
         case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas'
           else 'large objects' end), null, null, null, null
    from pg_catalog.pg_default_acl d left join ns n on n.oid = d.defaclnamespace
   where d.defaclnamespace = 0 or n.oid is not null`
