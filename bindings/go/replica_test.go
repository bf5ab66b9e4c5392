package crsql_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	crsql "github.com/crsql/crsql/bindings/go"
	sqlite3 "github.com/mattn/go-sqlite3"
)

func TestVectorsTravelAsJSON(t *testing.T) {
	db, r := newReplica(t)
	run(t, db, "INSERT INTO note VALUES ('n', 'b')")
	vector, err := r.Vector(ctx)
	must(t, err)
	for _, v := range []crsql.Vector{vector, ""} {
		text, err := json.Marshal(map[string]crsql.Vector{"v": v})
		must(t, err)
		var back map[string]crsql.Vector
		must(t, json.Unmarshal(text, &back))
		if back["v"] != v {
			t.Fatalf("%s became %s", v, back["v"])
		}
	}
	blob, err := r.Pull(ctx, vector, 0)
	if blob != nil || err != nil {
		t.Fatalf("%d bytes are new to their own writer, %v", len(blob), err)
	}
}

func TestTheReportHasTheVector(t *testing.T) {
	db, a := newReplica(t)
	_, b := newReplica(t)
	run(t, db, "INSERT INTO note VALUES ('n', 'b')")
	blob, err := a.Pull(ctx, "", 0)
	must(t, err)
	report, err := b.Apply(ctx, blob)
	must(t, err)
	if report.Applied != 1 || !report.New || report.Tables[0] != "note" {
		t.Fatalf("%+v", report)
	}
	if left, err := a.Pull(ctx, report.Vector, 0); left != nil || err != nil {
		t.Fatalf("%d bytes are left, %v", len(left), err)
	}
	if report, err = b.Apply(ctx, nil); err != nil || report.New {
		t.Fatalf("nothing at all gave %+v, %v", report, err)
	}
	if _, err = b.Apply(ctx, []byte{}); err == nil {
		t.Fatal("no bytes are a changeset")
	}
}

func TestChangesAreReadLazily(t *testing.T) {
	db, r := newReplica(t)
	for i := range 100 {
		run(t, db, "INSERT INTO note VALUES (?, 'body')", fmt.Sprint(i))
	}
	count := 0
	for c, err := range r.Changes(ctx, "") {
		must(t, err)
		if c.Table != "note" || c.CID != "body" || c.Val != "body" || len(c.SiteID) != 16 ||
			c.DBVersion != int64(count+1) || c.CL != 1 || c.Seq != 0 || c.ColVersion == 0 {
			t.Fatalf("%+v", c)
		}
		if count++; count == 3 {
			break
		}
	}
	if in := db.Stats().InUse; count != 3 || in != 0 {
		t.Fatalf("%d changes were read, %d connections are in use", count, in)
	}
	for _, err := range r.Changes(ctx, "no vector") {
		var driverError sqlite3.Error
		if !errors.As(err, &driverError) {
			t.Fatalf("no error of the driver, but %v", err)
		}
	}
}

// Every connection of the pool has crsql, and goroutines write, merge and read at once.
func TestThePoolIsForManyGoroutines(t *testing.T) {
	a, from := newReplica(t)
	b, to := newReplica(t)
	run(t, a, "PRAGMA journal_mode = WAL")
	run(t, b, "PRAGMA journal_mode = WAL")
	const writers, writes = 4, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Add(2)
		go func() {
			defer group.Done()
			for i := range writes {
				_, err := a.Exec("INSERT INTO note VALUES (?, 'b')", fmt.Sprint(w, " ", i))
				if err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer group.Done()
			for range 5 {
				if err := crsql.Sync(ctx, from, to); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	must(t, crsql.Sync(ctx, from, to))
	if n := one[int](t, b, "SELECT count(*) FROM note"); n != writers*writes {
		t.Fatalf("%d rows arrived", n)
	}
	const digest = "SELECT crsql_digest()"
	if one[string](t, a, digest) != one[string](t, b, digest) {
		t.Fatal("the replicas differ")
	}
}

// Calls of a replica over one connection are part of that connection's transaction.
func TestOneConnectionIsOneTransaction(t *testing.T) {
	db, _ := newReplica(t)
	source, from := newReplica(t)
	run(t, source, "INSERT INTO note VALUES ('n', 'b')")
	blob, err := from.Pull(ctx, "", 0)
	must(t, err)
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	r, err := crsql.NewConnReplica(ctx, conn)
	must(t, err)
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	_, err = r.Apply(ctx, blob)
	must(t, err)
	must(t, tx.Rollback())
	if n := one[int](t, db, "SELECT count(*) FROM note"); n != 0 {
		t.Fatalf("%d rows outlived the rollback", n)
	}
}

// Sync within a transaction stopped silently after the first 16 MiB, since a vector tells of
// committed transactions only; and it failed halfway, after merging one way, where the other side
// was in one. Now it refuses before it does anything, and Pull and Apply are there for that.
func TestSyncRefusesAnOpenTransaction(t *testing.T) {
	_, free := newReplica(t)
	source, from := newReplica(t)
	run(t, source, "INSERT INTO note VALUES ('n', 'b')")
	db, inPool := newReplica(t)
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	onConn, err := crsql.NewConnReplica(ctx, conn)
	must(t, err)
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	defer tx.Rollback()
	const why = "a transaction is open on one of the two; COMMIT it first, or use Pull and Apply"
	says(t, crsql.Sync(ctx, from, onConn), why)
	says(t, crsql.Sync(ctx, onConn, from), why)
	blob, err := from.Pull(ctx, "", 0)
	must(t, err)
	_, err = onConn.Apply(ctx, blob)
	must(t, err)
	must(t, tx.Commit())
	must(t, crsql.Sync(ctx, from, onConn))
	must(t, crsql.Sync(ctx, from, inPool))

	// A pool has one only if the caller says BEGIN there himself.
	pool, ofOne := newReplica(t)
	pool.SetMaxOpenConns(1)
	run(t, pool, "BEGIN")
	says(t, crsql.Sync(ctx, from, ofOne), why)
	run(t, pool, "ROLLBACK")
	must(t, crsql.Sync(ctx, from, ofOne))
	must(t, crsql.Sync(ctx, free, ofOne))
}

func TestInMemory(t *testing.T) {
	a, b := newPool(t, "crsql", ":memory:"), newPool(t, "crsql", ":memory:")
	if _, err := crsql.NewReplica(ctx, a); err == nil {
		t.Fatal("a pool of many databases in memory is one replica")
	}
	var replicas []*crsql.Replica
	for _, db := range []*sql.DB{a, b} {
		db.SetMaxOpenConns(1)
		run(t, db, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v)")
		r, err := crsql.NewReplica(ctx, db)
		must(t, err)
		must(t, r.Enable(ctx, "t"))
		replicas = append(replicas, r)
	}
	run(t, a, "INSERT INTO t VALUES (1, 'v')")
	must(t, crsql.Sync(ctx, replicas[0], replicas[1]))
	if v := one[string](t, b, "SELECT v FROM t"); v != "v" {
		t.Fatal(v)
	}
}
