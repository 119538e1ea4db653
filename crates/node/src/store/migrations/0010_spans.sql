-- SPDX-License-Identifier: Apache-2.0
-- When and where each attempt held its processors, from its receipt: what the ledger of standing plays again.
CREATE TABLE spans (job TEXT NOT NULL, attempt INTEGER NOT NULL, host TEXT NOT NULL, site TEXT NOT NULL, begin_at INTEGER NOT NULL, end_at INTEGER NOT NULL,
  PRIMARY KEY (job, attempt), CHECK (begin_at <= end_at)) STRICT, WITHOUT ROWID;
