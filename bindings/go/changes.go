package crsql

import (
	"context"
	"database/sql"
	"iter"
)

// Change is a row of crsql_changes: one written cell, or the life or death of a row.
type Change struct {
	Table      string
	PK         []byte // the packed key
	CID        string // the column, or "-1" for the row itself
	Val        any    // nil, int64, float64, string or []byte
	ColVersion int64  // the stamp of the write
	DBVersion  int64  // the origin's number of the transaction
	SiteID     []byte // the origin, 16 bytes
	CL         int64  // the row's causal length: odd lives, even is dead
	Seq        int64  // the place in the transaction
}

// Changes reads the changes that since has not seen, one by one; the empty vector reads all of
// them. An error ends the sequence. One connection is in use until the loop is left, so a loop over
// a pool of one connection must not ask that pool for anything.
func (r *Replica) Changes(ctx context.Context, since Vector) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		stopped := false
		err := r.with(ctx, func(conn *sql.Conn) error {
			rows, err := changesOf(ctx, conn, since)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var c Change
				err := rows.Scan(&c.Table, &c.PK, &c.CID, &c.Val, &c.ColVersion, &c.DBVersion,
					&c.SiteID, &c.CL, &c.Seq)
				if err != nil {
					return err
				}
				if !yield(c, nil) {
					stopped = true
					return nil
				}
			}
			return rows.Err()
		})
		if err != nil && !stopped {
			yield(Change{}, err)
		}
	}
}

func changesOf(ctx context.Context, conn *sql.Conn, since Vector) (*sql.Rows, error) {
	if since == "" {
		return conn.QueryContext(ctx, "SELECT * FROM crsql_changes")
	}
	return conn.QueryContext(ctx, "SELECT * FROM crsql_changes WHERE since = ?", string(since))
}
