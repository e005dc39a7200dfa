create table orders (
  id bigint primary key generated always as identity,
  note text not null,
  created_at timestamptz not null default current_timestamp
);
