-- Whose signature the list of a source bears. None: it was read before this was kept, and names nothing until it is read anew.
ALTER TABLE sources ADD COLUMN signed_by BLOB;
-- The epoch from which on a source read events without a gap.
ALTER TABLE sources ADD COLUMN since INTEGER;
