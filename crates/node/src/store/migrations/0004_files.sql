-- SPDX-License-Identifier: Apache-2.0
-- Files that came here for a job or were uploaded for one, and may go when no job needs them; a file that is not listed never goes.
CREATE TABLE blobs_passing (sha256 TEXT PRIMARY KEY, bytes INTEGER NOT NULL, open INTEGER NOT NULL, used_at INTEGER NOT NULL, uploaded_at INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_passing_by_use ON blobs_passing (open, used_at);
-- Which unfinished job needs which file on which side, and against whose share of the disk it counts.
CREATE TABLE blob_uses (sha256 TEXT NOT NULL, side TEXT NOT NULL CHECK (side IN ('home', 'host')), job TEXT NOT NULL, project TEXT NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (sha256, side, job)) STRICT, WITHOUT ROWID;
CREATE INDEX blob_uses_by_job ON blob_uses (job, side);
CREATE INDEX blob_uses_by_project ON blob_uses (project, side, sha256, bytes);
CREATE TRIGGER hosted_needs_nothing AFTER UPDATE OF state ON hosted WHEN NEW.state = 'finished' BEGIN
  DELETE FROM blob_uses WHERE job = NEW.job AND side = 'host';
END;
CREATE TRIGGER job_needs_nothing AFTER UPDATE OF state ON jobs WHEN NEW.state IN ('completed', 'failed', 'cancelled', 'refused') BEGIN
  DELETE FROM blob_uses WHERE job = NEW.id AND side = 'home';
END;
CREATE TRIGGER output_stays AFTER INSERT ON outputs BEGIN
  DELETE FROM blobs_passing WHERE sha256 = NEW.sha256;
END;
