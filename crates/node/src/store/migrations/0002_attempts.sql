-- SPDX-License-Identifier: Apache-2.0
-- A job whose site failed it may be tried again, as its description says.
ALTER TABLE hosted ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
