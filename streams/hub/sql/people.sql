-- Who may use the console: people, their sessions and tokens. Functions: streams/hub/people.py.

-- name: has_people
SELECT EXISTS (SELECT FROM person) AS has_people;

-- name: people
SELECT name, full_name, password IS NOT NULL AS has_password, issuer, subject, grants, claimed, created_at, signed_in_at,
       (SELECT count(*) FROM sign_in_session s WHERE s.person = p.name AND s.expires_at > now()) AS sessions,
       (SELECT count(*) FROM api_token t WHERE t.person = p.name AND t.expires_at > now()) AS tokens
FROM person p WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY name;

-- name: person_of_provider
SELECT name FROM person WHERE issuer = %(issuer)s AND subject = %(subject)s;

-- name: password_of
SELECT password FROM person WHERE name = %s;

-- name: add_person
INSERT INTO person (name, full_name, password, issuer, subject, grants)
VALUES (%(name)s, %(full_name)s, %(password)s, %(issuer)s, %(subject)s, %(grants)s::jsonb)
ON CONFLICT DO NOTHING RETURNING name;

-- name: change_grants
UPDATE person SET grants = %(grants)s::jsonb WHERE name = %(name)s AND grants = %(before)s::jsonb RETURNING name;

-- name: change_password
UPDATE person SET password = %(password)s WHERE name = %(name)s RETURNING name;

-- name: person_signed_in
UPDATE person SET signed_in_at = now(), claimed = coalesce(%(claimed)s::jsonb, claimed),
    full_name = coalesce(%(full_name)s::text, full_name) WHERE name = %(name)s RETURNING name;

-- name: remove_person
DELETE FROM person WHERE name = %s RETURNING name;

-- name: begin_session
WITH over AS (DELETE FROM sign_in_session WHERE expires_at < now())
INSERT INTO sign_in_session (hash, person, expires_at, address, agent)
VALUES (%(hash)s, %(person)s, now() + make_interval(secs => %(seconds)s), %(address)s, %(agent)s);

-- name: use_session
-- Whose session it is, unless it is over. That it was used is kept to the minute.
WITH used AS (
    UPDATE sign_in_session SET seen_at = now()
    WHERE hash = %(hash)s AND expires_at > now() AND seen_at > now() - make_interval(secs => %(idle)s) AND seen_at < now() - interval '1 minute'
)
SELECT p.name, p.full_name, p.grants, p.claimed FROM sign_in_session s JOIN person p ON p.name = s.person
WHERE s.hash = %(hash)s AND s.expires_at > now() AND s.seen_at > now() - make_interval(secs => %(idle)s);

-- name: session_now
-- Whose session it is, unless it is over; that somebody asks is no use of it.
SELECT p.name, p.full_name, p.grants, p.claimed FROM sign_in_session s JOIN person p ON p.name = s.person
WHERE s.hash = %(hash)s AND s.expires_at > now() AND s.seen_at > now() - make_interval(secs => %(idle)s);

-- name: sessions_of
SELECT encode(substring(hash FOR 6), 'hex') AS id, created_at, seen_at, expires_at, address, agent, hash = %(hash)s::bytea AS is_this
FROM sign_in_session WHERE person = %(person)s AND expires_at > now() AND seen_at > now() - make_interval(secs => %(idle)s)
ORDER BY seen_at DESC;

-- name: end_session
DELETE FROM sign_in_session WHERE hash = %s RETURNING person AS name;

-- name: end_sessions
-- All sessions of a person but the one to keep.
DELETE FROM sign_in_session WHERE person = %(person)s AND hash IS DISTINCT FROM %(keep)s::bytea RETURNING person AS name;

-- name: add_token
INSERT INTO api_token (person, name, hash, grants, expires_at)
VALUES (%(person)s, %(name)s, %(hash)s, %(grants)s::jsonb, now() + make_interval(days => %(days)s::int))
ON CONFLICT DO NOTHING RETURNING id;

-- name: use_token
WITH used AS (
    UPDATE api_token SET used_at = now()
    WHERE hash = %(hash)s AND expires_at > now() AND (used_at IS NULL OR used_at < now() - interval '1 minute')
)
SELECT p.name, p.full_name, p.grants, p.claimed, t.name AS token, t.grants AS token_grants
FROM api_token t JOIN person p ON p.name = t.person WHERE t.hash = %(hash)s AND t.expires_at > now();

-- name: tokens_of
SELECT id, person, name, grants, created_at, expires_at, used_at, expires_at < now() AS is_over
FROM api_token WHERE person = %s ORDER BY name;

-- name: remove_token
DELETE FROM api_token WHERE id = %(id)s AND person = %(person)s RETURNING name;

-- name: begin_provider_sign_in
WITH over AS (DELETE FROM provider_sign_in WHERE expires_at < now())
INSERT INTO provider_sign_in (hash, data, expires_at) VALUES (%(hash)s, %(data)s::jsonb, now() + interval '10 minutes');

-- name: end_provider_sign_in
DELETE FROM provider_sign_in WHERE hash = %s AND expires_at > now() RETURNING data;
