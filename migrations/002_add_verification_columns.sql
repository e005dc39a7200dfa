-- pgbosun: allow index-not-concurrent users has few rows when this runs
alter table users add column if not exists email_verified boolean not null default false;
alter table users add column if not exists phone_verified boolean not null default false;

create index if not exists idx_users_email_verified on users (email_verified);
