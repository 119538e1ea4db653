-- SPDX-License-Identifier: Apache-2.0
-- Signed records of models, and which weights each is about; a later record of a model stands beside the earlier ones.
CREATE TABLE models (sha256 TEXT PRIMARY KEY, id TEXT NOT NULL, recorded_at INTEGER NOT NULL, record TEXT NOT NULL, added_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE model_weights (weights TEXT NOT NULL, model TEXT NOT NULL REFERENCES models (sha256), PRIMARY KEY (weights, model)) STRICT, WITHOUT ROWID;
-- Attestations of evaluations (DSSE envelopes), and which weights each is about.
CREATE TABLE evaluations (sha256 TEXT PRIMARY KEY, envelope TEXT NOT NULL, completed_at INTEGER NOT NULL, added_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE evaluation_weights (weights TEXT NOT NULL, evaluation TEXT NOT NULL REFERENCES evaluations (sha256), PRIMARY KEY (weights, evaluation)) STRICT, WITHOUT ROWID;
-- What the gates decided: the record as it went into the audit log.
CREATE TABLE gate_decisions (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, gate TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL, verdict TEXT NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX gate_decisions_by_subject ON gate_decisions (subject, gate, position);
-- What became of decided events, in the order in which each gate's guard learnt of it.
CREATE TABLE gate_outcomes (gate TEXT NOT NULL, position INTEGER NOT NULL, decision TEXT NOT NULL UNIQUE REFERENCES gate_decisions (id), record TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (gate, position)) STRICT, WITHOUT ROWID;
-- What each guard has learnt, under which settings: canonical bytes, to hold what is learnt anew against.
CREATE TABLE gate_guards (gate TEXT PRIMARY KEY, settings TEXT NOT NULL, updates INTEGER NOT NULL, state BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- The harm budget that each project has used in a window.
CREATE TABLE gate_budgets (gate TEXT NOT NULL, tenant TEXT NOT NULL, window_begins INTEGER NOT NULL, used REAL NOT NULL, PRIMARY KEY (gate, tenant, window_begins)) STRICT, WITHOUT ROWID;
