-- depends: 0118.people

-- Who may use the console. Without a row, whoever sits at the console's machine may do everything.
CREATE TABLE person (
    name         text PRIMARY KEY,              -- lower case
    full_name    text NOT NULL DEFAULT '',
    password     text,                          -- argon2id; null: signs in at the identity provider
    issuer       text,                          -- of the identity provider, with the person's id there
    subject      text,
    grants       jsonb NOT NULL DEFAULT '[]',   -- [{role, system, entity}], given by admins
    claimed      jsonb NOT NULL DEFAULT '[]',   -- the same, by the identity provider's claims at the last sign-in
    created_at   timestamptz NOT NULL DEFAULT now(),
    signed_in_at timestamptz,
    UNIQUE (issuer, subject)
);

-- Signed-in browsers. The browser keeps a random id, the hub only its SHA-256.
CREATE TABLE sign_in_session (
    hash       bytea PRIMARY KEY,
    person     text NOT NULL REFERENCES person ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    address    text NOT NULL,
    agent      text NOT NULL
);
CREATE INDEX sign_in_session_person ON sign_in_session (person);

-- Tokens of programs that call the API, each with rights of its own, never more than its person's.
CREATE TABLE api_token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person     text NOT NULL REFERENCES person ON DELETE CASCADE,
    name       text NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    grants     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    UNIQUE (person, name)
);

-- Sign-ins that are under way at the identity provider.
CREATE TABLE provider_sign_in (
    hash       bytea PRIMARY KEY,               -- of the state
    data       jsonb NOT NULL,                  -- nonce, code verifier, where to go then
    expires_at timestamptz NOT NULL
);

-- The audit is append-only: an entry is completed once, and only retention deletes. Whoever owns the tables can drop this.
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('opshub.audit_retention', true) = 'on' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.result IS NULL AND OLD.failed IS NULL
       AND (NEW.id, NEW.at, NEW.who, NEW.what, NEW.via, NEW.about, NEW.why, NEW.wanted)
           IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.who, OLD.what, OLD.via, OLD.about, OLD.why, OLD.wanted) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER keep_audit BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER keep_audit_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_what ON audit (what, id);

-- What people did to records, dead letters and intents is part of the same list, newest first.
ALTER TABLE identity_log ADD id bigint GENERATED ALWAYS AS IDENTITY;
CREATE INDEX identity_log_at ON identity_log (at, id);
ALTER TABLE dead_letter_audit ADD id bigint GENERATED ALWAYS AS IDENTITY;
CREATE INDEX dead_letter_audit_at ON dead_letter_audit (at, id);
CREATE INDEX intent_log_people ON intent_log (at, id) WHERE what IN ('approve', 'reject', 'retried');
-- When it was decided, whichever statement wrote that.
ALTER TABLE conflict ADD decided_at timestamptz;
UPDATE conflict SET decided_at = coalesce(resolved_at, seen_at) WHERE decided_by IS NOT NULL;
CREATE INDEX conflict_decided_at ON conflict (decided_at, id) WHERE decided_by IS NOT NULL;
CREATE FUNCTION date_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.decided_at := CASE WHEN NEW.decided_by IS NOT NULL THEN clock_timestamp() END;
    RETURN NEW;
END $$;
CREATE TRIGGER date_decision BEFORE UPDATE OF decided_by ON conflict FOR EACH ROW
WHEN (NEW.decided_by IS DISTINCT FROM OLD.decided_by) EXECUTE FUNCTION date_decision();
