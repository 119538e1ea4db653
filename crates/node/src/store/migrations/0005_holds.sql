-- SPDX-License-Identifier: Apache-2.0
-- Why jobs are or were suspended: at the host what it decided, at another home what the host told. A job stands still as long as one
-- of its rows is not released.
CREATE TABLE holds (job TEXT NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL, confirmed_at INTEGER, released_at INTEGER, released_by TEXT) STRICT;
CREATE UNIQUE INDEX holds_open ON holds (job, reason) WHERE released_at IS NULL;
CREATE INDEX holds_by_job ON holds (job, since);
-- Whether one of them is open, so that the look for jobs to start need not ask.
ALTER TABLE hosted ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER hold_opened AFTER INSERT ON holds BEGIN
  UPDATE hosted SET held = EXISTS (SELECT 1 FROM holds WHERE job = NEW.job AND released_at IS NULL) WHERE job = NEW.job;
END;
CREATE TRIGGER hold_released AFTER UPDATE OF released_at ON holds BEGIN
  UPDATE hosted SET held = EXISTS (SELECT 1 FROM holds WHERE job = NEW.job AND released_at IS NULL) WHERE job = NEW.job;
END;
