package crsql_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	crsql "github.com/crsql/crsql/bindings/go"
)

const often = 5 * time.Millisecond

// told gives what a watch tells about f, which writes.
func told(t *testing.T, r *crsql.Replica, f func()) []string {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	watch := r.Watch(limited, often)
	f()
	for tables, err := range watch {
		must(t, err)
		return tables
	}
	t.Fatal("nothing was told in 20 seconds")
	return nil
}

func TestWatchTellsOfEveryWriter(t *testing.T) {
	db, r := newReplica(t)
	run(t, db, "CREATE TABLE tag(id TEXT PRIMARY KEY NOT NULL)")
	must(t, r.Enable(ctx, "tag"))
	file := one[string](t, db, "SELECT file FROM pragma_database_list")
	other := newPool(t, "crsql", file)
	from, source := newReplica(t)
	run(t, from, "INSERT INTO note VALUES ('far', 'away')")

	for name, c := range map[string]struct {
		write func()
		want  []string
	}{
		"this pool":    {func() { run(t, db, "INSERT INTO note VALUES ('a', 'b')") }, []string{"note"}},
		"another pool": {func() { run(t, other, "INSERT INTO tag VALUES ('a')") }, []string{"tag"}},
		"a delete":     {func() { run(t, db, "DELETE FROM note WHERE id = 'a'") }, []string{"note"}},
		"a merge":      {func() { must(t, crsql.Sync(ctx, r, source)) }, []string{"note"}},
		"both tables": {func() {
			run(t, db, "INSERT INTO note VALUES ('c', 'd')")
			run(t, other, "INSERT INTO tag VALUES ('c')")
		}, []string{"note", "tag"}},
		"another process": {func() { writeElsewhere(t, file) }, []string{"tag"}},
	} {
		if name == "a delete" {
			run(t, db, "INSERT OR IGNORE INTO note VALUES ('a', 'b')")
		}
		if got := told(t, r, c.write); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: told %q", name, got)
		}
		run(t, db, "DELETE FROM note WHERE id = 'a'")
		run(t, db, "DELETE FROM tag")
	}
}

// writeElsewhere runs this test's program again, which writes to the file and ends.
func writeElsewhere(t *testing.T, file string) {
	t.Helper()
	program := exec.Command(os.Args[0], "-test.run=^TestWriter$")
	program.Env = append(os.Environ(), "CRSQL_TEST_WRITES_TO="+file)
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestWriter is the other process; by itself it has nothing to write to.
func TestWriter(t *testing.T) {
	if file := os.Getenv("CRSQL_TEST_WRITES_TO"); file != "" {
		run(t, newPool(t, "crsql", file), "INSERT INTO tag VALUES ('from elsewhere')")
	}
}

// A watch says nothing while nothing is written or before it is committed, and stops when told.
func TestWatchOfOneConnection(t *testing.T) {
	db, _ := newReplica(t)
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	r, err := crsql.NewConnReplica(ctx, conn)
	must(t, err)
	quiet := func(when string) {
		short, cancel := context.WithTimeout(ctx, 20*often)
		defer cancel()
		for tables, err := range r.Watch(short, often) {
			t.Fatalf("%s: told %q, %v", when, tables, err)
		}
		if short.Err() == nil {
			t.Fatalf("%s: stopped by itself", when)
		}
	}
	quiet("nothing is written")
	watch := r.Watch(ctx, often)
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	_, err = tx.Exec("INSERT INTO note VALUES ('a', 'b')")
	must(t, err)
	quiet("the transaction is open")
	must(t, tx.Commit())
	for tables, err := range watch {
		if err != nil || !reflect.DeepEqual(tables, []string{"note"}) {
			t.Fatalf("told %q, %v", tables, err)
		}
		break
	}
	_, err = conn.ExecContext(ctx, "UPDATE note SET body = 'c'")
	must(t, err)
	for tables, err := range watch { // goes on where it stopped
		if err != nil || !reflect.DeepEqual(tables, []string{"note"}) {
			t.Fatalf("told %q, %v", tables, err)
		}
		break
	}
}

// In a pool of one the watch leaves the connection to others between its looks.
func TestWatchOfAMemory(t *testing.T) {
	db := newPool(t, "crsql", ":memory:")
	db.SetMaxOpenConns(1)
	run(t, db, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL)")
	r, err := crsql.NewReplica(ctx, db)
	must(t, err)
	must(t, r.Enable(ctx, "t"))
	if got := told(t, r, func() { run(t, db, "INSERT INTO t VALUES (1)") }); got[0] != "t" {
		t.Fatal(got)
	}
}

func TestWatchGoesOnAfterAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	db := newPool(t, "crsql", file+"?_busy_timeout=1")
	run(t, db, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL)")
	r, err := crsql.NewReplica(ctx, db)
	must(t, err)
	must(t, r.Enable(ctx, "t"))
	watch := r.Watch(ctx, often)
	locker, err := newPool(t, "crsql", file).Conn(ctx)
	must(t, err)
	defer locker.Close()
	_, err = locker.ExecContext(ctx, "BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)")
	must(t, err)
	failed := false
	for tables, err := range watch {
		if err == nil {
			if !failed || !reflect.DeepEqual(tables, []string{"t"}) {
				t.Fatalf("told %q, after an error: %v", tables, failed)
			}
			return
		}
		if !failed {
			failed = true
			says(t, err, "locked")
			_, err = locker.ExecContext(ctx, "COMMIT")
			must(t, err)
		}
	}
}
