-- A list that people rearrange.
== before
CREATE TABLE todo(id INTEGER PRIMARY KEY NOT NULL, list TEXT, place TEXT, what TEXT);
CREATE INDEX todo_in_order ON todo(list, place);
SELECT crsql_as_crr('todo');
== faults
SELECT crsql_fract_as_ordered('todo', 'place', 'list');
INSERT INTO todo VALUES (1, 'l', 1, 'first');
INSERT INTO todo VALUES (2, 'l', 1, 'second'), (3, 'l', -1, 'front');
UPDATE todo_fractindex SET after_id = 3 WHERE id = 2;
SELECT id FROM todo ORDER BY place;
== after
INSERT INTO todo VALUES (4, 'l', 1, 'last');
