-- SPDX-License-Identifier: Apache-2.0
-- What of a held job a named person has to decide: the gate's decision is the hold's id, and `answer` is what is left of it.
CREATE TABLE gate_holds (id TEXT PRIMARY KEY, job TEXT NOT NULL, reason TEXT NOT NULL, answer TEXT NOT NULL, opened_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'released', 'denied', 'over')), closed_at INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX gate_holds_by_job ON gate_holds (job, state);
CREATE INDEX gate_holds_open ON gate_holds (opened_at) WHERE state = 'open';
CREATE TABLE gate_hold_decisions (hold TEXT NOT NULL REFERENCES gate_holds (id), kinds TEXT NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX gate_hold_decisions_by_hold ON gate_hold_decisions (hold, at);
CREATE TRIGGER hosted_is_held_by_nothing AFTER UPDATE OF state ON hosted WHEN NEW.state = 'finished' BEGIN
  UPDATE gate_holds SET state = 'over' WHERE job = NEW.job AND state = 'open';
END;
-- The training runs that jobs of this host are part of: the registration, and how far named people have released it.
CREATE TABLE training_jobs (job TEXT PRIMARY KEY, run TEXT NOT NULL, registration TEXT NOT NULL, asked TEXT NOT NULL,
  released_to_teraflop INTEGER NOT NULL DEFAULT 0, released_beyond_third INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE INDEX training_jobs_by_run ON training_jobs (run);
-- Orders to stop, and what lifted them; the jobs each has stopped here, and what every site answered.
CREATE TABLE stop_orders (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, member TEXT NOT NULL, signed TEXT NOT NULL, received_from TEXT NOT NULL, received_at INTEGER NOT NULL,
  lift TEXT, lifted_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE stop_sites (id TEXT NOT NULL REFERENCES stop_orders (id), site TEXT NOT NULL, late INTEGER NOT NULL DEFAULT 0, answered INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id, site)) STRICT, WITHOUT ROWID;
CREATE INDEX stop_sites_open ON stop_sites (id, site) WHERE answered = 0;
CREATE TABLE stop_jobs (id TEXT NOT NULL REFERENCES stop_orders (id), job TEXT NOT NULL, site TEXT NOT NULL, hold TEXT NOT NULL, PRIMARY KEY (id, job)) STRICT, WITHOUT ROWID;
CREATE TABLE stop_acknowledgements (id TEXT NOT NULL, member TEXT NOT NULL, site TEXT NOT NULL, acknowledgement TEXT NOT NULL, received_at INTEGER NOT NULL,
  PRIMARY KEY (id, member, site)) STRICT, WITHOUT ROWID;
