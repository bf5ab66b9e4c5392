package crsql_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// recipe runs a program of the folder recipes, and gives what it prints.
func recipe(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("go", append([]string{"run"}, args...)...).CombinedOutput()
	return string(out), err
}

func TestTwoPhonesOverHTTP(t *testing.T) {
	out, err := recipe(t, "./recipes/http")
	if err != nil || out != "ann: milk, bread\nben: milk, bread\n" {
		t.Fatalf("%v: %s", err, out)
	}
}

// What a file of cr-sqlite's looks like to a program that has no cr-sqlite: the plain tables, and
// beside each that was replicated one for its clocks.
const madeByCrSQLite = `
	CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT);
	INSERT INTO note VALUES ('n1', 'one'), ('n2', 'two');
	CREATE TABLE note__crsql_clock(key INTEGER NOT NULL, col_name TEXT NOT NULL,
		col_version INTEGER NOT NULL, PRIMARY KEY (key, col_name)) WITHOUT ROWID;
	CREATE TABLE "odd ""name"""(id INTEGER PRIMARY KEY NOT NULL);
	CREATE TABLE "odd ""name""__crsql_clock"(key INTEGER);
	CREATE TABLE crsql_master(key TEXT PRIMARY KEY, value ANY);
	CREATE TABLE ordinary(x)`

func TestMovingFromCrSQLite(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	run(t, newPool(t, "sqlite3", file("old.db")), madeByCrSQLite)
	for _, name := range []string{"a.db", "b.db"} {
		out, err := recipe(t, "./recipes/crsqlite", file("old.db"), file(name))
		if err != nil || out != "moved note\nmoved odd \"name\"\n" {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// Two devices that moved apart: the first write after the move wins on both.
	a, b := newPool(t, "crsql", file("a.db")), newPool(t, "crsql", file("b.db"))
	run(t, a, "UPDATE note SET body = 'edited' WHERE id = 'n1'")
	syncPools(t, a, b)
	for _, query := range []string{
		"SELECT body FROM note WHERE id = 'n1'",
		"SELECT crsql_digest()",
	} {
		if x, y := one[string](t, a, query), one[string](t, b, query); x != y {
			t.Fatalf("%s: %s and %s", query, x, y)
		}
	}
	if n := one[int](t, b, "SELECT count(*) FROM note WHERE body IN ('edited', 'two')"); n != 2 {
		t.Fatalf("%d rows", n)
	}
	out, err := recipe(t, "./recipes/crsqlite", file("old.db"), file("a.db"))
	if err == nil {
		t.Fatalf("a file was moved over another: %s", out)
	}
}
