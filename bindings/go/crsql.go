// Package crsql brings crsql, the SQLite extension that makes tables conflict-free replicated, to
// database/sql over github.com/mattn/go-sqlite3.
//
// Importing it registers the driver "crsql": go-sqlite3, with crsql on every connection of the
// pool. [Replica] offers what an application does with it, [Sync] brings two replicas together.
package crsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// The function of the library that SQLite calls.
const entryPoint = "sqlite3_crsql_init"

func init() {
	sql.Register("crsql", Driver(""))
}

// Options are what [Open] can be told. The zero value is what the driver "crsql" does.
type Options struct {
	// Library is the library's file; empty is what [Library] finds.
	Library string
	// OnConnect is called with every new connection, after crsql was loaded into it.
	OnConnect func(*sqlite3.SQLiteConn) error
}

// Driver gives a go-sqlite3 driver that loads the library's file at path into every connection.
// An empty path is what [Library] finds.
func Driver(path string) *sqlite3.SQLiteDriver {
	return driverOf(Options{Library: path})
}

// Open opens a database like [sql.Open] does; dsn is what go-sqlite3 takes.
func Open(dsn string, options Options) (*sql.DB, error) {
	return sql.OpenDB(connector{dsn, driverOf(options)}), nil
}

// Load loads crsql into one open connection; it does nothing where crsql is there already.
// It is for programs that have a ConnectHook of their own. Loading of extensions, by C and by SQL,
// is off afterwards. An empty path is what [Library] finds.
func Load(conn *sqlite3.SQLiteConn, path string) error {
	if isLoaded(conn) {
		return nil
	}
	file, err := resolve(path)
	if err != nil {
		return err
	}
	if err := conn.LoadExtension(forSQLite(file), entryPoint); err != nil {
		return loadError(file, err)
	}
	return nil
}

func driverOf(options Options) *sqlite3.SQLiteDriver {
	return &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		if err := Load(conn, options.Library); err != nil || options.OnConnect == nil {
			return err
		}
		return options.OnConnect(conn)
	}}
}

func isLoaded(conn *sqlite3.SQLiteConn) bool {
	rows, err := conn.Query("SELECT crsql_version()", nil)
	if err != nil {
		return false
	}
	return rows.Close() == nil
}

// loadIn loads crsql into the connection of a pool that another driver than ours opened.
func loadIn(conn *sql.Conn) error {
	return conn.Raw(func(raw any) error {
		c, ok := raw.(*sqlite3.SQLiteConn)
		if !ok {
			return fmt.Errorf("crsql: a connection of type %T cannot load native code; open the "+
				"database with the driver \"crsql\" or with github.com/mattn/go-sqlite3", raw)
		}
		return Load(c, "")
	})
}

func loadError(file string, err error) error {
	if omitted {
		return errors.New("crsql: this program was built with the tag sqlite_omit_load_extension, " +
			"which leaves the loading of extensions out; build it without that tag")
	}
	return fmt.Errorf("crsql: the library %s cannot be loaded: %w; put it beside the program, or "+
		"name its file in the environment variable CRSQL_LIBRARY", file, err)
}

// connector opens connections of one driver and one data source, for [sql.OpenDB].
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.driver.Open(c.dsn)
}

func (c connector) Driver() driver.Driver {
	return c.driver
}
