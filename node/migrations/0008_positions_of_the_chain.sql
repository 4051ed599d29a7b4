-- Positions in a chain's log hold the chain's own index of a log; before, they counted the market's events of the block. Events that
-- are stored keep theirs: within a block they come before all that are read from now on. Where a market on a chain was read up to
-- is marked as a count, and what was remembered of its blocks for reorganisations is begun anew from there. (A market without a chain
-- has no checkpoints; its positions are what they were.)
UPDATE meta SET key = 'counted cursor'
WHERE key = 'cursor' AND EXISTS (SELECT 1 FROM meta AS log WHERE log.key LIKE 'checkpoints/%');
DELETE FROM meta WHERE key LIKE 'checkpoints/%';
