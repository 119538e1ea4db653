-- SPDX-License-Identifier: Apache-2.0
-- How long a job may run at most, in milliseconds; unknown of those that an earlier version admitted. Who waits behind a large one may go
-- before it where it is done by then.
ALTER TABLE hosted ADD COLUMN longest_ms INTEGER;
