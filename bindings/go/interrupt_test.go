package crsql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	crsql "github.com/crsql/crsql/bindings/go"
	sqlite3 "github.com/mattn/go-sqlite3"
)

// usable fails the test unless the pool is as after any other call: what is written is there for
// whoever opens the file again, others can write, and a transaction can be begun.
func usable(t *testing.T, db *sql.DB, when string) {
	t.Helper()
	file := one[string](t, db, "SELECT file FROM pragma_database_list")
	run(t, db, "INSERT INTO note VALUES (?, 'own')", "own "+when)
	other := newPool(t, "crsql", file+"?_busy_timeout=50")
	run(t, other, "INSERT INTO note VALUES (?, 'other')", "other "+when)
	const count = "SELECT count(*) FROM note WHERE id IN (?, ?)"
	if n := one[int](t, other, count, "own "+when, "other "+when); n != 2 {
		t.Fatalf("%s: %d of two rows are in the file", when, n)
	}
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "BEGIN; COMMIT")
	must(t, err)
}

// An Apply whose context ended gave its connection back to the pool with a transaction open: the
// next caller wrote into that and lost it, and all others found the file locked. Now crsql leaves
// none open, and the pool gets no connection back that is in one.
func TestAPoolAfterAnApplyThatWasCancelled(t *testing.T) {
	source, from := newReplica(t)
	run(t, source, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		INSERT INTO note SELECT 'n' || i, 'body' FROM n`)
	blob, err := from.Pull(ctx, "", 0)
	must(t, err)
	cancelled := 0
	for ms := 0; ms <= 100; ms += 10 {
		limit := max(time.Duration(ms), 5) * time.Millisecond
		db, r := newReplica(t)
		limited, cancel := context.WithTimeout(ctx, limit)
		if _, err := r.Apply(limited, blob); err != nil {
			cancelled++
		}
		cancel()
		usable(t, db, fmt.Sprint("after ", limit))
		if _, err := r.Apply(ctx, blob); err != nil {
			t.Fatalf("after %s: %v", limit, err)
		}
		if n := one[int](t, db, "SELECT count(*) FROM note"); n != 20002 {
			t.Fatalf("after %s: %d rows", limit, n)
		}
	}
	if cancelled == 0 {
		t.Fatal("no Apply was cancelled")
	}
}

// A transaction that a failed call left open went back into the pool with its connection. It is
// rolled back now; and where that cannot be done, the connection leaves the pool.
func TestAFailedCallLeavesNoTransactionInThePool(t *testing.T) {
	for name, canEnd := range map[string]bool{"rolled back": true, "dropped": false} {
		opened := 0
		db, err := crsql.Open(filepath.Join(t.TempDir(), "a.db"), crsql.Options{
			OnConnect: func(conn *sqlite3.SQLiteConn) error {
				if opened++; !canEnd {
					conn.RegisterAuthorizer(refuseRollback)
				}
				return conn.RegisterFunc("crsql_apply", func([]byte) (string, error) {
					_, err := conn.Exec("BEGIN; INSERT INTO note VALUES ('half', 'done')", nil)
					return "", errors.Join(err, errors.New("stopped halfway"))
				}, false)
			},
		})
		must(t, err)
		defer db.Close()
		run(t, db, "CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")
		r, err := crsql.NewReplica(ctx, db)
		must(t, err)
		must(t, r.Enable(ctx, "note"))
		_, err = r.Apply(ctx, []byte("x"))
		says(t, err, "stopped halfway")
		usable(t, db, name)
		if n := one[int](t, db, "SELECT count(*) FROM note"); n != 2 || (opened == 1) != canEnd {
			t.Fatalf("%s: %d rows, %d connections", name, n, opened)
		}
	}
}

func refuseRollback(op int, arg1, _, _ string) int {
	if op == sqlite3.SQLITE_TRANSACTION && arg1 == "ROLLBACK" {
		return sqlite3.SQLITE_DENY
	}
	return sqlite3.SQLITE_OK
}

// A transaction that was open before is the caller's own, though it is on a pool: it stays.
func TestAFailedCallLeavesTheCallersTransaction(t *testing.T) {
	db, r := newReplica(t)
	db.SetMaxOpenConns(1)
	run(t, db, "BEGIN")
	run(t, db, "INSERT INTO note VALUES ('n', 'b')")
	_, err := r.Apply(ctx, []byte("no changeset"))
	says(t, err, "changeset")
	run(t, db, "COMMIT")
	if n := one[int](t, db, "SELECT count(*) FROM note"); n != 1 {
		t.Fatalf("%d rows", n)
	}
}
