-- SPDX-License-Identifier: Apache-2.0
-- The owner of a site goes first, and guests are given notice: when, and how many attempts of a job ended so.
ALTER TABLE hosted ADD COLUMN notice_at INTEGER;
ALTER TABLE hosted ADD COLUMN reclaimed INTEGER NOT NULL DEFAULT 0;
-- The same at home, as the host told.
ALTER TABLE jobs ADD COLUMN notice_at INTEGER;
ALTER TABLE jobs ADD COLUMN reclaimed INTEGER NOT NULL DEFAULT 0;
-- The owner's jobs that wait are found without a look at those of guests, however many these are.
CREATE INDEX hosted_ready_by_home ON hosted (site, home, admitted_at, job) WHERE state = 'ready';
