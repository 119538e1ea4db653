-- SPDX-License-Identifier: Apache-2.0
-- Home takes back jobs that wait elsewhere: since when it asks for one and why, and what one has saved that was taken back.
ALTER TABLE jobs ADD COLUMN taking_back TEXT;
ALTER TABLE jobs ADD COLUMN saved TEXT;
-- Those that wait at a host, which home looks through every few seconds.
CREATE INDEX jobs_that_wait ON jobs (id) WHERE state = 'admitted' AND started_at IS NULL;
-- Its place in the line at a site: when it was admitted, or for the owner's own, which may have been elsewhere first, when it came.
ALTER TABLE hosted ADD COLUMN line_at INTEGER;
UPDATE hosted SET line_at = admitted_at;
DROP INDEX hosted_ready_by_home;
CREATE INDEX hosted_ready_by_home ON hosted (site, home, line_at, job) WHERE state = 'ready';
