-- One statement moves money, so a client that is lost in the middle has moved it or not, and never has half of it.
create function transfer(request uuid, payer text, payee text, amount numeric) returns text
language plpgsql as $$
declare
  source accounts;
  target accounts;
  made bigint;
begin
  -- in the order of their numbers, so that two transfers between the same accounts do not wait for each other in a circle
  perform from accounts a where a.name in (payer, payee) order by a.id for no key update;
  select * into source from accounts a where a.name = payer;
  select * into target from accounts a where a.name = payee;
  if source.id is null or target.id is null then
    raise exception 'there is no account %', case when source.id is null then payer else payee end using errcode = 'NB404';
  end if;

  insert into transfers as t (request, from_account, to_account, amount)
  values (transfer.request, source.id, target.id, transfer.amount)
  on conflict on constraint transfers_request_key do nothing
  returning t.id into made;
  if made is null then
    perform from transfers t
    where t.request = transfer.request and t.from_account = source.id and t.to_account = target.id and t.amount = transfer.amount;
    if not found then
      raise exception 'request % was a different transfer', request using errcode = 'NB409';
    end if;
    return 'done-before';
  end if;

  if source.kind = 'customer' and source.balance < amount then
    raise exception '% does not have %', payer, amount using errcode = 'NB409';
  end if;
  update accounts a set balance = a.balance + case a.id when target.id then transfer.amount else -transfer.amount end
  where a.id in (source.id, target.id);
  return 'done';
end $$;

comment on function transfer is 'Moves money once for each request, however often it is called.';
