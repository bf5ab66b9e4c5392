package crsql

import (
	"context"
	"database/sql"
	"iter"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// Watch tells which tables were changed since it was called, by whomever: this program, another
// one on the same file, or an applied changeset. It looks every interval (a second, where that is 0
// or less), and gives names only when there are some; a table may be named once more than it was
// changed.
//
// The loop ends when ctx does, or when it is left. An error is given to it, and it goes on after
// that if the loop does; what it could not see is told later. A second loop over the same sequence
// goes on where the first one stopped; they must not run at once. Two calls of Watch are apart.
func (r *Replica) Watch(ctx context.Context, interval time.Duration) iter.Seq2[[]string, error] {
	if interval <= 0 {
		interval = time.Second
	}
	w := watcher{replica: r}
	begun := w.begin(ctx)
	return func(yield func([]string, error) bool) {
		if ctx.Err() != nil || (begun != nil && !yield(nil, begun)) {
			return
		}
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			tables, err := w.look(ctx)
			if ctx.Err() != nil {
				return
			}
			if (err != nil || len(tables) > 0) && !yield(tables, err) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// watcher remembers up to where its loop was told.
type watcher struct {
	replica *Replica
	begun   bool
	since   Vector
	seen    sight
}

// sight is what is cheap to ask. Both numbers count for one connection only: data_version what
// others wrote, total_changes what it wrote itself.
type sight struct {
	conn                      *sqlite3.SQLiteConn
	dataVersion, totalChanges int64
}

// begin takes the vector from which on changes are told.
func (w *watcher) begin(ctx context.Context) error {
	vector, err := w.replica.Vector(ctx)
	if err == nil {
		w.begun, w.since = true, vector
	}
	return err
}

// look gives the tables that were changed since the last look.
func (w *watcher) look(ctx context.Context) ([]string, error) {
	if !w.begun {
		return nil, w.begin(ctx)
	}
	var tables []string
	err := w.replica.with(ctx, func(conn *sql.Conn) error {
		now, idle, err := sightOf(ctx, conn)
		if err != nil || !idle || now == w.seen {
			return err
		}
		// The vector first: what is committed between the two is told twice rather than never.
		var vector Vector
		row := conn.QueryRowContext(ctx, "SELECT crsql_vector()")
		if err := row.Scan(&vector); err != nil {
			return err
		}
		if tables, err = tablesSince(ctx, conn, w.since); err != nil {
			return err
		}
		w.since, w.seen = vector, now
		return nil
	})
	return tables, err
}

// sightOf gives the cheap numbers, and whether the connection is in no transaction: what an open
// one wrote is told when it has ended.
func sightOf(ctx context.Context, conn *sql.Conn) (now sight, idle bool, err error) {
	err = conn.Raw(func(raw any) error {
		now.conn = raw.(*sqlite3.SQLiteConn)
		idle = now.conn.AutoCommit()
		return nil
	})
	if err != nil || !idle {
		return now, idle, err
	}
	row := conn.QueryRowContext(ctx, "PRAGMA main.data_version")
	if err := row.Scan(&now.dataVersion); err != nil {
		return now, idle, err
	}
	row = conn.QueryRowContext(ctx, "SELECT total_changes()")
	return now, idle, row.Scan(&now.totalChanges)
}

func tablesSince(ctx context.Context, conn *sql.Conn, since Vector) ([]string, error) {
	rows, err := conn.QueryContext(ctx,
		`SELECT DISTINCT "table" FROM crsql_changes WHERE since = ? ORDER BY 1`, since.orNull())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, rows.Err()
}
