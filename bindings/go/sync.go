package crsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// How much [Sync] takes at a time: 16 MiB.
const syncMaxBytes = 16 << 20

var errOpenTransaction = errors.New("crsql.Sync: a transaction is open on one of the two; COMMIT " +
	"it first, or use Pull and Apply inside it")

// Sync brings two replicas together, both ways. It refuses a connection with an open transaction
// before it does anything: a vector tells of committed transactions only, so within one it would
// be given the same part again and again.
func Sync(ctx context.Context, a, b *Replica) error {
	for _, r := range []*Replica{a, b} {
		if r.isInTransaction(ctx) {
			return errOpenTransaction
		}
	}
	if err := takeAll(ctx, b, a); err != nil {
		return fmt.Errorf("crsql: from the first replica to the second: %w", err)
	}
	if err := takeAll(ctx, a, b); err != nil {
		return fmt.Errorf("crsql: from the second replica to the first: %w", err)
	}
	return nil
}

// takeAll applies to one replica what another has, until there is nothing more, or until what
// comes is not new: changes of a clock that is too far ahead come whenever they are asked for.
func takeAll(ctx context.Context, to, from *Replica) error {
	for {
		vector, err := to.Vector(ctx)
		if err != nil {
			return err
		}
		blob, err := from.Pull(ctx, vector, syncMaxBytes)
		if err != nil || blob == nil {
			return err
		}
		report, err := to.Apply(ctx, blob)
		if err != nil || !report.New {
			return err
		}
	}
}

// isInTransaction says whether the replica's connection is in one. What else is wrong with it is
// told by the call that needs it.
func (r *Replica) isInTransaction(ctx context.Context) bool {
	open := false
	err := r.with(ctx, func(conn *sql.Conn) (err error) {
		open, err = inTransaction(conn)
		return err
	})
	return err == nil && open
}
