package crsql_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	crsql "github.com/crsql/crsql/bindings/go"
	sqlite3 "github.com/mattn/go-sqlite3"
)

// says fails the test unless the error has every text in it.
func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("%q is not in: %v", text, err)
		}
	}
}

func TestALibraryThatIsNotThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.so")
	db, err := crsql.Open(":memory:", crsql.Options{Library: file})
	must(t, err)
	defer db.Close()
	says(t, db.Ping(), "there is no library at "+file+", which the path that was given names")

	t.Setenv("CRSQL_LIBRARY", file)
	db = newPool(t, "crsql", ":memory:")
	says(t, db.Ping(), "there is no library at "+file, "environment variable CRSQL_LIBRARY names")

	t.Setenv("CRSQL_LIBRARY", "")
	if name := crsql.Library(); !strings.HasPrefix(name, "crsql.") {
		t.Fatal(name)
	}
	says(t, newPool(t, "crsql", ":memory:").Ping(), "put it beside the program, or name its file")
}

func TestAFileThatIsNoLibrary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text.so")
	must(t, os.WriteFile(file, []byte("text"), 0o600))
	db, err := crsql.Open(":memory:", crsql.Options{Library: file})
	must(t, err)
	defer db.Close()
	says(t, db.Ping(), file+" cannot be loaded")
}

// The system's word about a file that is no library was `crsql.so.so: cannot open shared object
// file`, because SQLite tries the name with a suffix of its own and tells of that one. It is told
// the name without it now, so what it tries in the end is the file.
func TestTheReasonIsThatOfTheFileItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), filepath.Base(crsql.Library()))
	must(t, os.WriteFile(file, []byte("garbage"), 0o600))
	t.Setenv("CRSQL_LIBRARY", file)
	err := newPool(t, "crsql", ":memory:").Ping()
	says(t, err, file+" cannot be loaded: "+file)
	if strings.Contains(err.Error(), ".so.so") {
		t.Fatal(err)
	}
	t.Setenv("CRSQL_LIBRARY", "")
	if err := newPool(t, "crsql", ":memory:").Ping(); strings.Contains(err.Error(), ".so.so") {
		t.Fatal(err)
	}
}

// A folder and a device passed for a library that is there, and the system's word about them was
// all that was told. Only an ordinary file passes now.
func TestAFolderIsNoLibrary(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		t.Setenv("CRSQL_LIBRARY", path)
		says(t, newPool(t, "crsql", ":memory:").Ping(), "there is no library at "+path,
			"environment variable CRSQL_LIBRARY names: that is no ordinary file")
	}
}

// A name without a slash is a file of the current folder, not one of the loader's path.
func TestARelativePath(t *testing.T) {
	before, err := os.Getwd()
	must(t, err)
	must(t, os.Chdir(filepath.Dir(crsql.Library())))
	defer os.Chdir(before)
	t.Setenv("CRSQL_LIBRARY", filepath.Base(crsql.Library()))
	must(t, newPool(t, "crsql", ":memory:").Ping())
}

func TestLoadingIsOffAgain(t *testing.T) {
	db := newPool(t, "crsql", ":memory:")
	_, err := db.Exec("SELECT load_extension(?)", crsql.Library())
	says(t, err, "not authorized")
}

func TestAHookOfOnesOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	called := 0
	db, err := crsql.Open(file, crsql.Options{OnConnect: func(conn *sqlite3.SQLiteConn) error {
		called++
		must(t, crsql.Load(conn, "")) // a second time it does nothing
		_, err := conn.Exec("CREATE TABLE IF NOT EXISTS of AS SELECT crsql_version() AS v", nil)
		return err
	}})
	must(t, err)
	defer db.Close()
	if one[string](t, db, "SELECT v FROM of") == "" || called != 1 {
		t.Fatalf("the hook was called %d times", called)
	}
	refusing := errors.New("not today")
	db, err = crsql.Open(file, crsql.Options{OnConnect: func(*sqlite3.SQLiteConn) error {
		return refusing
	}})
	must(t, err)
	defer db.Close()
	if err := db.Ping(); !errors.Is(err, refusing) {
		t.Fatal(err)
	}
}

// The pool of another driver gets crsql where a replica needs it.
func TestAPoolWithoutCrsql(t *testing.T) {
	db := newPool(t, "sqlite3", filepath.Join(t.TempDir(), "a.db"))
	run(t, db, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL)")
	if _, err := db.Exec("SELECT crsql_version()"); err == nil {
		t.Fatal("go-sqlite3 has crsql by itself")
	}
	r, err := crsql.NewReplica(ctx, db)
	must(t, err)
	must(t, r.Enable(ctx, "t"))
}

func TestErrorsAreTheDriversOwn(t *testing.T) {
	_, a := newReplica(t)
	_, err := a.Pull(ctx, "no vector", 0)
	var driverError sqlite3.Error
	if !errors.As(err, &driverError) || driverError.Code != sqlite3.ErrError {
		t.Fatalf("%T: %v", err, err)
	}
	says(t, err, "this is not a vector that crsql_vector() made")

	db, b := newReplica(t)
	must(t, db.Close())
	err = crsql.Sync(ctx, a, b)
	says(t, err, "crsql: from the first replica to the second", "database is closed")
	_, err = crsql.NewReplica(ctx, db)
	says(t, err, "database is closed")
}

func TestACancelledContext(t *testing.T) {
	_, r := newReplica(t)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := r.Vector(cancelled); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, err := range r.Changes(cancelled, "") {
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for range r.Watch(cancelled, 0) {
		t.Fatal("told after the context's end")
	}
}
