// pure
/** The privilege for pg_has_role, as SQL, that tells who may SET ROLE to a role. Before 16, every member may. */
export const setRolePrivilege = `case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end`
