package crsql

import (
	"context"
	"fmt"
)

// How much [Sync] takes at a time: 16 MiB.
const syncMaxBytes = 16 << 20

// Sync brings two replicas together, both ways.
func Sync(ctx context.Context, a, b *Replica) error {
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
