-- Somebody to try the application with; a second load changes nothing.
insert into users (telegram_id, username, first_name, language_code)
values (1000000001, 'demo', 'Demo', 'en')
on conflict (telegram_id) do nothing;

insert into notifications (user_id, notification_type, title, message)
select id, 'bonus', 'Welcome', 'You start with a bonus of 100.'
  from users
 where telegram_id = 1000000001
   and not exists (select from notifications n where n.user_id = users.id and n.notification_type = 'bonus');
