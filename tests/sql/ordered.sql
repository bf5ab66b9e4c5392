-- crsql_fract_as_ordered: a list that people rearrange, in cr-sqlite's words and with its keys.
CREATE TABLE todo(id PRIMARY KEY NOT NULL, list, ordering, content);
CREATE INDEX todo_in_order ON todo(list, ordering);
SELECT crsql_as_crr('todo');
SELECT quote(crsql_fract_as_ordered('todo', 'ordering', 'list'));
SELECT quote(crsql_fract_as_ordered('todo', 'ordering', 'list'));
-- An order of -1 is the front, 1 the end.
INSERT INTO todo VALUES (1, 1, -1, 'head');
INSERT INTO todo VALUES (3, 1, 1, 'tail');
-- Through the view a row goes right after another; after none, to the front.
INSERT INTO todo_fractindex(id, list, content, after_id) VALUES (2, 1, 'mid', 1);
INSERT INTO todo VALUES (0, 1, -1, 'first'), (4, 1, 1, 'last');
INSERT INTO todo_fractindex(id, list, content, after_id) VALUES (-1, 1, 'before all', NULL);
INSERT INTO todo_fractindex(id, list, content, after_id) VALUES (5, 1, 'after all', 4);
SELECT id, quote(ordering), content FROM todo ORDER BY ordering;
-- Moves.
UPDATE todo_fractindex SET after_id = 4 WHERE id = 3;
SELECT quote(ordering) FROM todo WHERE id = 3;
UPDATE todo_fractindex SET after_id = 2, content = 'moved' WHERE id = 3;
SELECT quote(ordering), content FROM todo WHERE id = 3;
UPDATE todo SET ordering = 1 WHERE id = 0;
-- Two rows with one key, as after two replicas appended at once: room is made behind the first.
INSERT INTO todo VALUES (6, 1, 'a!', 'twin of 3');
INSERT INTO todo_fractindex(id, list, content, after_id) VALUES (7, 1, 'between', 3);
SELECT id, quote(ordering), content FROM todo WHERE id IN (3, 6, 7) ORDER BY ordering;
-- Another list is another list, and a row can move into it.
INSERT INTO todo VALUES (20, 2, 1, 'elsewhere');
UPDATE todo_fractindex SET list = 2, after_id = 20 WHERE id = 5;
SELECT id, quote(ordering) FROM todo WHERE list = 2 ORDER BY ordering;
-- An UPDATE that does not move leaves the place alone.
UPDATE todo_fractindex SET content = 'edited' WHERE id = 20;
SELECT group_concat(id, ' ') FROM (SELECT id FROM todo ORDER BY list, ordering);
SELECT * FROM todo_fractindex WHERE id = 20;
UPDATE todo_fractindex SET id = 21 WHERE id = 20;
-- Every one of these was captured; the log knows of keys, never of -1 and 1.
SELECT DISTINCT typeof(val) FROM crsql_changes WHERE cid = 'ordering';
-- What cannot be ordered is refused.
SELECT crsql_fract_as_ordered('todo');
SELECT crsql_fract_as_ordered('no', 'ordering');
SELECT crsql_fract_as_ordered('todo', 'nope');
SELECT crsql_fract_as_ordered('todo', 'id');
CREATE TABLE nocase(id INTEGER PRIMARY KEY, o TEXT COLLATE NOCASE, after_id);
SELECT crsql_fract_as_ordered('nocase', 'o');
ALTER TABLE nocase DROP COLUMN after_id;
SELECT crsql_fract_as_ordered('nocase', 'o');
CREATE TABLE strict(id INTEGER PRIMARY KEY, o INTEGER) STRICT;
SELECT crsql_fract_as_ordered('strict', 'o');
CREATE TABLE bare(o);
SELECT crsql_fract_as_ordered('bare', 'o');
CREATE VIEW note_fractindex AS SELECT 1;
CREATE TABLE note(id INTEGER PRIMARY KEY, o);
SELECT crsql_fract_as_ordered('note', 'o');
-- crsql_as_table takes it away too.
SELECT crsql_as_table('todo');
SELECT count(*) FROM sqlite_schema WHERE name LIKE '%fractindex%' AND name NOT LIKE 'note%';
