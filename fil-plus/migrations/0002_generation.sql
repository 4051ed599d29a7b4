-- How often what an origin said about claims was forgotten: a step that began before is none of what begins anew.
ALTER TABLE origins ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
