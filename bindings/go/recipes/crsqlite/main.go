// Moving from cr-sqlite: copies the tables of a file that cr-sqlite made into a new file of crsql.
//
//	crsqlite OLD.db NEW.db
//
// Sync the old files a last time, so that they agree, and stop writing to them. Then run this on
// every device, or on one from which the others pull. Rows that were there before a table is made
// replicated carry the lowest stamp, so copies made on two devices merge, and whatever is written
// afterwards wins over them. What only one old file had comes to all; a row that one had deleted
// and another had not comes back. Indexes, views and tables that were not replicated are not
// copied: make them as your program does in a new file.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	crsql "github.com/crsql/crsql/bindings/go"
)

// The tables that cr-sqlite replicated, each with the statement that made it. The names of
// its clock tables say which they are.
const replicated = `
	SELECT t.name, t.sql FROM old.sqlite_schema AS t JOIN old.sqlite_schema AS c
	ON c.type = 'table' AND c.name = t.name || '__crsql_clock' COLLATE NOCASE
	WHERE t.type = 'table' ORDER BY t.rowid`

type table struct{ name, sql string }

func quoted(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// tables reads what is to be copied from the attached old file.
func tables(ctx context.Context, conn *sql.Conn) ([]table, error) {
	rows, err := conn.QueryContext(ctx, replicated)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []table
	for rows.Next() {
		var t table
		if err := rows.Scan(&t.name, &t.sql); err != nil {
			return nil, err
		}
		found = append(found, t)
	}
	return found, rows.Err()
}

// move copies one table, then makes it replicated: in this order, so that its rows get the
// lowest stamp.
func move(ctx context.Context, conn *sql.Conn, replica *crsql.Replica, t table) error {
	name := quoted(t.name)
	for _, statement := range []string{
		t.sql,
		fmt.Sprintf("INSERT INTO main.%s SELECT * FROM old.%s", name, name),
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return replica.Enable(ctx, t.name)
}

func run(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s is there already; name a file that is not", to)
	}
	db, err := sql.Open("crsql", to)
	if err != nil {
		return err
	}
	defer func() {
		db.Close()
		if err != nil {
			os.Remove(to)
		}
	}()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	replica, err := crsql.NewConnReplica(ctx, conn)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ATTACH ? AS old", from); err != nil {
		return err
	}
	found, err := tables(ctx, conn)
	if err == nil && len(found) == 0 {
		err = errors.New("cr-sqlite has replicated no table in this file")
	}
	if err != nil {
		return err
	}
	for _, t := range found {
		if err := move(ctx, conn, replica, t); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		fmt.Printf("moved %s\n", t.name)
	}
	return nil
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: crsqlite OLD.db NEW.db")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
