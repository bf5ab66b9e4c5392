package crsql_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	crsql "github.com/crsql/crsql/bindings/go"
)

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newPool opens the file by the driver, and closes it after the test.
func newPool(t *testing.T, driver, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, file)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// newReplica gives a replica of a new file in which the table note is replicated.
func newReplica(t *testing.T) (*sql.DB, *crsql.Replica) {
	t.Helper()
	db := newPool(t, "crsql", filepath.Join(t.TempDir(), "replica.db"))
	run(t, db, "CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")
	r, err := crsql.NewReplica(ctx, db)
	must(t, err)
	must(t, r.Enable(ctx, "note"))
	return db, r
}

func run(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	_, err := db.Exec(query, args...)
	must(t, err)
}

func one[T any](t *testing.T, db *sql.DB, query string, args ...any) T {
	t.Helper()
	var value T
	must(t, db.QueryRow(query, args...).Scan(&value))
	return value
}

func syncPools(t *testing.T, dbs ...*sql.DB) {
	t.Helper()
	var replicas []*crsql.Replica
	for _, db := range dbs {
		r, err := crsql.NewReplica(ctx, db)
		must(t, err)
		replicas = append(replicas, r)
	}
	must(t, crsql.Sync(ctx, replicas[0], replicas[1]))
}
