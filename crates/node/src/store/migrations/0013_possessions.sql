-- SPDX-License-Identifier: Apache-2.0
-- Who has sent a file here byte by byte, or may have it as the result of a job: `person/ID` of this node or `member/ID`. A file that is
-- here for somebody else is not here for who only knows its digest.
CREATE TABLE possessions (sha256 TEXT NOT NULL, party TEXT NOT NULL, PRIMARY KEY (sha256, party)) STRICT, WITHOUT ROWID;
