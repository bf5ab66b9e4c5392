package crsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// What crsql_changeset takes for a size that nobody named: 64 MiB.
const defaultMaxBytes = 64 << 20

// Vector says what a replica has seen of every site. It is JSON text that crsql made; the empty
// one has seen nothing.
type Vector string

// MarshalJSON gives the vector as the JSON that it is.
func (v Vector) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON takes what MarshalJSON gave.
func (v *Vector) UnmarshalJSON(text []byte) error {
	*v = Vector(text)
	if *v == "null" {
		*v = ""
	}
	return nil
}

// orNull is the vector as an argument: SQL's NULL is the empty one.
func (v Vector) orNull() any {
	if v == "" {
		return nil
	}
	return string(v)
}

// Report tells what [Replica.Apply] did.
type Report struct {
	Applied    int64    `json:"applied"`    // changes that were merged into the tables
	Superseded int64    `json:"superseded"` // changes that lost to later ones, or were known
	Held       int64    `json:"held"`       // changes that wait in crsql_held
	Tables     []string `json:"tables"`     // the tables it was about
	Cut        []Cut    `json:"cut"`        // sites of which something was left out
	New        bool     `json:"new"`        // whether anything was not counted as seen before
	Vector     Vector   `json:"vector"`     // what the replica has seen now
}

// Cut names a site whose transactions were left out from some version on.
type Cut struct {
	Site   string `json:"site"`
	Reason string `json:"reason"`
}

// Replica is an open database with crsql in it. It may be used by many goroutines at once.
type Replica struct {
	pool *sql.DB   // either this
	one  *sql.Conn // or this
}

// NewReplica makes a replica of a pool. It takes a connection for each call, and loads crsql into
// connections that lack it; open the pool with the driver "crsql", so that none lacks it.
func NewReplica(ctx context.Context, db *sql.DB) (*Replica, error) {
	return checked(ctx, &Replica{pool: db})
}

// NewConnReplica makes a replica of one connection, which all calls use. Inside a transaction of
// that connection they are part of it; only [Sync] refuses to be.
func NewConnReplica(ctx context.Context, conn *sql.Conn) (*Replica, error) {
	return checked(ctx, &Replica{one: conn})
}

func checked(ctx context.Context, r *Replica) (*Replica, error) {
	if err := r.with(ctx, r.refuseManyMemories); err != nil {
		return nil, err
	}
	return r, nil
}

// refuseManyMemories refuses a pool whose connections would each have a database of its own.
func (r *Replica) refuseManyMemories(conn *sql.Conn) error {
	if r.pool == nil || r.pool.Stats().MaxOpenConnections == 1 {
		return nil
	}
	return conn.Raw(func(raw any) error {
		if raw.(*sqlite3.SQLiteConn).GetFilename("main") != "" {
			return nil
		}
		return errors.New("crsql: this database is in memory, so every connection of the pool " +
			"would have one of its own; call SetMaxOpenConns(1) on the *sql.DB first")
	})
}

// with calls f with a connection that has crsql.
func (r *Replica) with(ctx context.Context, f func(*sql.Conn) error) error {
	if r.one != nil {
		if err := loadIn(r.one); err != nil {
			return err
		}
		return f(r.one)
	}
	conn, err := r.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := loadIn(conn); err != nil {
		return err
	}
	before, err := inTransaction(conn)
	if err != nil {
		return err
	}
	err = f(conn)
	if err != nil && !before {
		endTransaction(conn)
	}
	return err
}

// inTransaction says whether a transaction is open on a connection of go-sqlite3's.
func inTransaction(conn *sql.Conn) (bool, error) {
	open := false
	err := conn.Raw(func(raw any) error {
		open = !raw.(*sqlite3.SQLiteConn).AutoCommit()
		return nil
	})
	return open, err
}

// endTransaction rolls back what a failed call left open: whoever gets the connection next would
// write into it, and lose that. The context of the call may be what failed it, so it has none.
func endTransaction(conn *sql.Conn) {
	open, err := inTransaction(conn)
	if err == nil && !open {
		return
	}
	if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		// With this error the pool closes the connection, and opens another one.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// value reads the one value that a statement gives.
func (r *Replica) value(ctx context.Context, into any, query string, args ...any) error {
	return r.with(ctx, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, query, args...).Scan(into)
	})
}

// Enable makes a table replicated. A second time it does nothing.
func (r *Replica) Enable(ctx context.Context, table string) error {
	var ok string
	return r.value(ctx, &ok, "SELECT crsql_as_crr(?)", table)
}

// Vector says what this replica has seen.
func (r *Replica) Vector(ctx context.Context) (Vector, error) {
	var v Vector
	err := r.value(ctx, &v, "SELECT crsql_vector()")
	return v, err
}

// Pull gives the changes that since has not seen, as a changeset for [Replica.Apply]; nil when
// there are none. The empty vector asks for everything. A changeset is cut between transactions
// when it has grown to maxBytes; 0 is 64 MiB.
func (r *Replica) Pull(ctx context.Context, since Vector, maxBytes int64) ([]byte, error) {
	if maxBytes == 0 {
		maxBytes = defaultMaxBytes
	}
	var blob []byte
	err := r.value(ctx, &blob, "SELECT crsql_changeset(?, ?)", since.orNull(), maxBytes)
	return blob, err
}

// Apply merges a changeset, all of it or nothing. Applying one twice changes nothing, and nil is
// the changeset in which nothing is.
func (r *Replica) Apply(ctx context.Context, blob []byte) (Report, error) {
	var report Report
	if blob == nil {
		return report, nil
	}
	var text []byte
	if err := r.value(ctx, &text, "SELECT crsql_apply(?)", blob); err != nil {
		return report, err
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return report, fmt.Errorf("crsql: the report of crsql_apply cannot be read: %w", err)
	}
	return report, nil
}
