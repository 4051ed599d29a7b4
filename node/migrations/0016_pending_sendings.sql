-- Which transactions are pending: those that landed for good while no process looked are found by it, however long ago they were sent.

ALTER TABLE sendings ADD COLUMN pending BOOLEAN NOT NULL DEFAULT FALSE;
-- In CBOR a record says so with the texts "outcome" and "pending", one after the other.
UPDATE sendings SET pending = TRUE WHERE live AND instr(record, x'676F7574636F6D656770656E64696E67') > 0;
CREATE INDEX pending_sendings ON sendings (chain, account, nonce) WHERE pending;
