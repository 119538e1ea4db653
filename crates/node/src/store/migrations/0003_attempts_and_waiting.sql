-- SPDX-License-Identifier: Apache-2.0
-- Each attempt at a job has its own receipt, a job whose site failed it is not tried again at once, and a job may wait for others.
CREATE TABLE receipts_of_attempts (id TEXT PRIMARY KEY, job TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 1, home TEXT NOT NULL, host TEXT NOT NULL, period TEXT NOT NULL, line TEXT NOT NULL,
  receipt TEXT NOT NULL, UNIQUE (job, attempt)) STRICT, WITHOUT ROWID;
INSERT INTO receipts_of_attempts (id, job, home, host, period, line, receipt) SELECT id, job, home, host, period, line, receipt FROM receipts;
DROP TABLE receipts;
ALTER TABLE receipts_of_attempts RENAME TO receipts;
CREATE INDEX receipts_by_period ON receipts (period, home, host);

ALTER TABLE hosted ADD COLUMN not_before INTEGER;
ALTER TABLE jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;

-- Which job of this home waits for which other; a row goes when the other has ended.
CREATE TABLE waits_for (on_job TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (on_job, job)) STRICT, WITHOUT ROWID;
CREATE INDEX waits_for_by_job ON waits_for (job);
