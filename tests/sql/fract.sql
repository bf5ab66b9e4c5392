-- Keys for the places of a list, with room for one more between any two.
SELECT quote(crsql_fract_key_between(NULL, NULL));
SELECT quote(crsql_fract_key_between('a ', NULL)), quote(crsql_fract_key_between(NULL, 'a '));
SELECT quote(crsql_fract_key_between('a ', 'a!'));
WITH RECURSIVE place(n, k) AS (
  SELECT 1, crsql_fract_key_between(NULL, NULL)
  UNION ALL SELECT n + 1, crsql_fract_key_between(k, NULL) FROM place WHERE n < 200)
SELECT count(*), max(length(k)), count(*) = sum(k > before) + 1
  FROM (SELECT k, lag(k) OVER (ORDER BY n) AS before FROM place);
SELECT crsql_fract_key_between('a!', 'a ');
SELECT crsql_fract_key_between('a ', 'a ');
SELECT crsql_fract_key_between('', NULL);
SELECT crsql_fract_key_between(1, NULL);
