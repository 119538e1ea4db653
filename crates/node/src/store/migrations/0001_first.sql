-- SPDX-License-Identifier: Apache-2.0
-- Times are milliseconds since 1970, money is millionths of the treaty's currency, documents are compact JWS or JSON text.

-- The audit log: entries hold ids, codes and salted digests; `audit_payloads` can be erased without touching the tree.
CREATE TABLE audit_entries (position INTEGER PRIMARY KEY, entry BLOB NOT NULL, leaf BLOB NOT NULL) STRICT;
CREATE TABLE audit_nodes (level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, position)) STRICT, WITHOUT ROWID;
CREATE TABLE audit_payloads (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, salt BLOB, payload TEXT) STRICT;
CREATE INDEX audit_payloads_by_subject ON audit_payloads (subject);
CREATE TABLE audit_checkpoints (name TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE audit_cosigning (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
-- What this node, as a witness, has cosigned of other logs.
CREATE TABLE witnessed (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- What each peer's witness has cosigned of this log.
CREATE TABLE witnesses (member TEXT PRIMARY KEY, size INTEGER NOT NULL, cosigned_at INTEGER NOT NULL, behind_since INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE researchers (id TEXT PRIMARY KEY, token_sha256 BLOB NOT NULL UNIQUE, holder TEXT NOT NULL, added_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE roles (researcher TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (researcher, role)) STRICT, WITHOUT ROWID;
CREATE TABLE projects (id TEXT PRIMARY KEY, granted INTEGER NOT NULL, pending INTEGER NOT NULL DEFAULT 0, posted INTEGER NOT NULL DEFAULT 0, added_at INTEGER NOT NULL,
  CHECK (granted >= 0 AND pending >= 0 AND posted >= 0 AND pending + posted <= granted)) STRICT, WITHOUT ROWID;
CREATE TABLE project_researchers (project TEXT NOT NULL REFERENCES projects (id), researcher TEXT NOT NULL, PRIMARY KEY (project, researcher)) STRICT, WITHOUT ROWID;
CREATE TABLE datasets (id TEXT PRIMARY KEY, record TEXT NOT NULL, recorded_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Immutable two-phase transfers: a hold, then exactly one post or void of it.
CREATE TABLE transfers (id TEXT PRIMARY KEY, job TEXT NOT NULL, project TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('hold', 'post', 'void')),
  hold TEXT UNIQUE REFERENCES transfers (id), amount INTEGER NOT NULL CHECK (amount >= 0), made_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Jobs of this node's own researchers.
CREATE TABLE jobs (id TEXT PRIMARY KEY, researcher TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL, request_sha256 BLOB NOT NULL,
  spec TEXT NOT NULL, dossier TEXT NOT NULL, offer_id TEXT, offer TEXT, site TEXT, host TEXT, hold TEXT, admission TEXT, receipt TEXT,
  cancel_asked INTEGER NOT NULL DEFAULT 0, submitted_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_researcher ON jobs (researcher, id);
CREATE INDEX jobs_by_state ON jobs (state);

-- Jobs that run at this node's sites, its own and its guests'.
CREATE TABLE hosted (job TEXT PRIMARY KEY, offer_id TEXT NOT NULL UNIQUE, home TEXT NOT NULL, site TEXT NOT NULL, state TEXT NOT NULL, offer TEXT NOT NULL, admission TEXT NOT NULL,
  cpu_cores INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL, cancel_asked INTEGER NOT NULL DEFAULT 0,
  admitted_at INTEGER NOT NULL, started_at INTEGER, receipt TEXT, fault TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX hosted_by_state ON hosted (state, site, admitted_at);
-- What the unfinished jobs of each site hold, by home and by whether they run; the triggers keep it, because every submission
-- and every admission asks for it, however many jobs wait.
CREATE TABLE site_use (site TEXT NOT NULL, home TEXT NOT NULL, runs INTEGER NOT NULL, jobs INTEGER NOT NULL, cpu_cores INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL,
  PRIMARY KEY (site, home, runs), CHECK (jobs >= 0)) STRICT, WITHOUT ROWID;
CREATE TRIGGER hosted_comes AFTER INSERT ON hosted WHEN NEW.state != 'finished' BEGIN
  INSERT INTO site_use VALUES (NEW.site, NEW.home, NEW.state IN ('starting', 'running'), 1, NEW.cpu_cores, NEW.memory_bytes, NEW.gpus)
  ON CONFLICT DO UPDATE SET jobs = jobs + 1, cpu_cores = cpu_cores + excluded.cpu_cores, memory_bytes = memory_bytes + excluded.memory_bytes, gpus = gpus + excluded.gpus;
END;
CREATE TRIGGER hosted_leaves AFTER UPDATE OF state ON hosted WHEN OLD.state != 'finished' AND NEW.state != OLD.state BEGIN
  UPDATE site_use SET jobs = jobs - 1, cpu_cores = cpu_cores - OLD.cpu_cores, memory_bytes = memory_bytes - OLD.memory_bytes, gpus = gpus - OLD.gpus
  WHERE site = OLD.site AND home = OLD.home AND runs = (OLD.state IN ('starting', 'running'));
END;
CREATE TRIGGER hosted_goes_on AFTER UPDATE OF state ON hosted WHEN NEW.state != 'finished' AND NEW.state != OLD.state BEGIN
  INSERT INTO site_use VALUES (NEW.site, NEW.home, NEW.state IN ('starting', 'running'), 1, NEW.cpu_cores, NEW.memory_bytes, NEW.gpus)
  ON CONFLICT DO UPDATE SET jobs = jobs + 1, cpu_cores = cpu_cores + excluded.cpu_cores, memory_bytes = memory_bytes + excluded.memory_bytes, gpus = gpus + excluded.gpus;
END;
CREATE TABLE withdrawn (offer_id TEXT PRIMARY KEY, job TEXT NOT NULL, withdrawn_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Every offer this host refused, so that a repeated offer gets the same answer.
CREATE TABLE refused_offers (offer_id TEXT PRIMARY KEY, refusals TEXT NOT NULL, refused_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outputs (job TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, class TEXT NOT NULL, held_by TEXT NOT NULL,
  released_at INTEGER, released_by TEXT, PRIMARY KEY (job, name)) STRICT, WITHOUT ROWID;
-- Which peer may fetch which file for which job, after this node, as the holder, has decided.
CREATE TABLE grants (job TEXT NOT NULL, sha256 TEXT NOT NULL, peer TEXT NOT NULL, granted_at INTEGER NOT NULL, PRIMARY KEY (job, sha256, peer)) STRICT, WITHOUT ROWID;

-- Receipts of both sides, the basis of the statements.
CREATE TABLE receipts (id TEXT PRIMARY KEY, job TEXT NOT NULL UNIQUE, home TEXT NOT NULL, host TEXT NOT NULL, period TEXT NOT NULL, line TEXT NOT NULL, receipt TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_period ON receipts (period, home, host);

-- Effects that are still to happen, in the order they were decided.
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, kind TEXT NOT NULL, job TEXT NOT NULL, key TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL, last_error TEXT) STRICT;
CREATE INDEX outbox_by_due ON outbox (lane, due_at);
CREATE INDEX outbox_by_job ON outbox (job, lane);

-- What peers asked under which idempotency key, and what they were answered.
CREATE TABLE idempotency (member TEXT NOT NULL, key TEXT NOT NULL, request_sha256 BLOB NOT NULL, status INTEGER NOT NULL, content_type TEXT NOT NULL, body BLOB NOT NULL, answered_at INTEGER NOT NULL,
  PRIMARY KEY (member, key)) STRICT, WITHOUT ROWID;

-- What peers last said of their sites' free resources.
CREATE TABLE site_reports (site TEXT PRIMARY KEY, report TEXT NOT NULL, reported_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
