-- SPDX-License-Identifier: Apache-2.0
-- Incidents: the signed chain of each, its statutory clocks, and the snapshots of evidence that were taken.
CREATE TABLE incidents (id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('open', 'resolved', 'closed')), reporter TEXT NOT NULL, job TEXT, model TEXT, site TEXT,
  request_sha256 TEXT NOT NULL, facts TEXT NOT NULL, decision TEXT NOT NULL, reported_at INTEGER NOT NULL, closed_at INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_by_time ON incidents (reported_at);
CREATE INDEX incidents_by_reporter ON incidents (reporter, reported_at);
CREATE TABLE incident_entries (incident TEXT NOT NULL REFERENCES incidents (id), sequence INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (incident, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE incident_clocks (incident TEXT NOT NULL REFERENCES incidents (id), number INTEGER NOT NULL, rule TEXT NOT NULL, source TEXT NOT NULL, duty TEXT NOT NULL, kind TEXT,
  binding INTEGER NOT NULL, started_at INTEGER NOT NULL, due_at INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('running', 'met', 'void')), met_at INTEGER, met_by INTEGER,
  said TEXT NOT NULL DEFAULT 'nothing' CHECK (said IN ('nothing', 'near', 'overdue')), PRIMARY KEY (incident, number)) STRICT, WITHOUT ROWID;
CREATE INDEX incident_clocks_running ON incident_clocks (due_at) WHERE state = 'running';
CREATE TABLE incident_evidence (incident TEXT NOT NULL REFERENCES incidents (id), position INTEGER NOT NULL, sha256 TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (incident, position)) STRICT, WITHOUT ROWID;
-- What stays as it is while an incident is not closed: entries of the log, files and jobs.
CREATE TABLE frozen_entries (position INTEGER NOT NULL, incident TEXT NOT NULL, PRIMARY KEY (position, incident)) STRICT, WITHOUT ROWID;
CREATE TABLE frozen_files (sha256 TEXT NOT NULL, incident TEXT NOT NULL, PRIMARY KEY (sha256, incident)) STRICT, WITHOUT ROWID;
CREATE TABLE frozen_jobs (job TEXT NOT NULL, incident TEXT NOT NULL, PRIMARY KEY (job, incident)) STRICT, WITHOUT ROWID;
-- Working directories that would be gone, and go when no incident needs them.
CREATE TABLE kept_runs (run TEXT PRIMARY KEY, job TEXT NOT NULL, kept_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- What is frozen cannot be erased by hand either.
CREATE TRIGGER frozen_entry_is_not_changed BEFORE UPDATE ON audit_payloads WHEN EXISTS (SELECT 1 FROM frozen_entries WHERE position = OLD.position)
  OR EXISTS (SELECT 1 FROM frozen_jobs WHERE job = OLD.subject) OR EXISTS (SELECT 1 FROM incidents WHERE id = OLD.subject AND state <> 'closed') BEGIN
  SELECT RAISE(ABORT, 'it is evidence of an incident that is not closed: see `sta incident list`');
END;
CREATE TRIGGER frozen_entry_is_not_deleted BEFORE DELETE ON audit_payloads WHEN EXISTS (SELECT 1 FROM frozen_entries WHERE position = OLD.position)
  OR EXISTS (SELECT 1 FROM frozen_jobs WHERE job = OLD.subject) OR EXISTS (SELECT 1 FROM incidents WHERE id = OLD.subject AND state <> 'closed') BEGIN
  SELECT RAISE(ABORT, 'it is evidence of an incident that is not closed: see `sta incident list`');
END;
CREATE TRIGGER frozen_output_is_not_deleted BEFORE DELETE ON outputs WHEN EXISTS (SELECT 1 FROM frozen_jobs WHERE job = OLD.job) BEGIN
  SELECT RAISE(ABORT, 'it is evidence of an incident that is not closed: see `sta incident list`');
END;
CREATE TRIGGER frozen_hosted_is_not_deleted BEFORE DELETE ON hosted WHEN EXISTS (SELECT 1 FROM frozen_jobs WHERE job = OLD.job) BEGIN
  SELECT RAISE(ABORT, 'it is evidence of an incident that is not closed: see `sta incident list`');
END;
CREATE TRIGGER frozen_job_is_not_deleted BEFORE DELETE ON jobs WHEN EXISTS (SELECT 1 FROM frozen_jobs WHERE job = OLD.id) BEGIN
  SELECT RAISE(ABORT, 'it is evidence of an incident that is not closed: see `sta incident list`');
END;
