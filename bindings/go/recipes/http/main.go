// Two phones over HTTP: each serves what it has, and pulls from the other what it lacks.
//
// Here both run in one program, on two ports of this machine. Whoever is let in is trusted with
// the data: put the handler behind your own authentication and TLS.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	crsql "github.com/crsql/crsql/bindings/go"
)

const (
	vectorBytesMax    = 1 << 20
	changesetBytesMax = 16 << 20
)

type phone struct {
	db      *sql.DB
	replica *crsql.Replica
	url     string
}

// ServeHTTP answers a vector with the changes that it has not seen.
func (p *phone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	vector, err := io.ReadAll(http.MaxBytesReader(w, r.Body, vectorBytesMax))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	blob, err := p.replica.Pull(r.Context(), crsql.Vector(vector), changesetBytesMax)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if blob == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := w.Write(blob); err != nil {
		log.Printf("the peer went away: %v", err)
	}
}

// pull takes all that the phone at url has and this one lacks.
func (p *phone) pull(ctx context.Context, url string) error {
	for {
		vector, err := p.replica.Vector(ctx)
		if err != nil {
			return err
		}
		blob, err := ask(ctx, url, vector)
		if err != nil || blob == nil {
			return err
		}
		report, err := p.replica.Apply(ctx, blob)
		if err != nil || !report.New {
			return err
		}
	}
}

func ask(ctx context.Context, url string, vector crsql.Vector) ([]byte, error) {
	body := bytes.NewReader([]byte(vector))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK:
		// One transaction that is larger by itself is sent in one piece: no limit here.
		return io.ReadAll(response.Body)
	default:
		why, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return nil, fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(why))
	}
}

// start opens a phone's file and serves it.
func start(ctx context.Context, file string) (*phone, error) {
	db, err := sql.Open("crsql", file)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx,
		"CREATE TABLE IF NOT EXISTS note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")
	if err != nil {
		return nil, err
	}
	replica, err := crsql.NewReplica(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := replica.Enable(ctx, "note"); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &phone{db, replica, "http://" + listener.Addr().String()}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Print(server.Serve(listener)) }()
	return p, nil
}

func (p *phone) write(ctx context.Context, id, body string) error {
	_, err := p.db.ExecContext(ctx, "INSERT INTO note VALUES (?, ?)", id, body)
	return err
}

func (p *phone) print(ctx context.Context, name string) error {
	var notes string
	err := p.db.QueryRowContext(ctx, `SELECT group_concat(body, ', ')
		FROM (SELECT body FROM note ORDER BY id)`).Scan(&notes)
	fmt.Printf("%s: %s\n", name, notes)
	return err
}

func run(ctx context.Context, folder string) error {
	ann, err := start(ctx, filepath.Join(folder, "ann.db"))
	if err != nil {
		return err
	}
	ben, err := start(ctx, filepath.Join(folder, "ben.db"))
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return ann.write(ctx, "n1", "milk") },
		func() error { return ben.write(ctx, "n2", "bread") },
		func() error { return ann.pull(ctx, ben.url) },
		func() error { return ben.pull(ctx, ann.url) },
		func() error { return ann.print(ctx, "ann") },
		func() error { return ben.print(ctx, "ben") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	folder, err := os.MkdirTemp("", "phones")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), folder)
	os.RemoveAll(folder)
	if err != nil {
		log.Fatal(err)
	}
}
