package conformance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	crsql "github.com/crsql/crsql/bindings/go"
	sqlite3 "github.com/mattn/go-sqlite3"
)

// Driver is one way to open a database file with crsql on it.
type Driver struct {
	Name string
	Open func(file string) (*sql.DB, error)
	// OneConn makes replicas of one *sql.Conn; otherwise they are made of the pool.
	OneConn bool
}

// Run runs every case of the script at path, and prints how many there are.
func Run(t *testing.T, path string, driver Driver) {
	s, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	version := "unknown"
	t.Run(driver.Name, func(t *testing.T) {
		for _, c := range s.Cases {
			t.Run(c.Name, func(t *testing.T) {
				w := world{t: t, driver: driver, folder: t.TempDir(), at: map[string]*place{}}
				for _, name := range c.Replicas {
					w.open(name)
					for _, setup := range c.Setup {
						setup.On = name
						w.check(setup)
					}
				}
				for _, step := range c.Steps {
					w.check(step)
				}
				version = w.one("SELECT sqlite_version()", c.Replicas[0]).(string)
				w.close()
			})
		}
	})
	if !t.Failed() {
		fmt.Printf("driver: %s, SQLite %s: %d cases\n", driver.Name, version, len(s.Cases))
	}
}

// place is one replica of a case. SQL of the script runs on conn.
type place struct {
	db      *sql.DB
	conn    *sql.Conn
	replica *crsql.Replica
}

type world struct {
	t      *testing.T
	driver Driver
	folder string
	at     map[string]*place
}

var background = context.Background()

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(name string) {
	db, err := w.driver.Open(filepath.Join(w.folder, name+".db"))
	w.must(err)
	conn, err := db.Conn(background)
	w.must(err)
	p := &place{db: db, conn: conn}
	if w.driver.OneConn {
		p.replica, err = crsql.NewConnReplica(background, conn)
	} else {
		p.replica, err = crsql.NewReplica(background, db)
	}
	w.must(err)
	w.at[name] = p
}

func (w *world) close() {
	for _, p := range w.at {
		w.must(p.conn.Close())
		w.must(p.db.Close())
	}
}

// check does a step, and fails the test unless it ends as the step says.
func (w *world) check(s step) {
	w.t.Helper()
	err := w.do(s)
	if s.Error == "" {
		if err != nil {
			w.t.Fatalf("%+v: %v", s, err)
		}
		return
	}
	var driverError sqlite3.Error
	if !errors.As(err, &driverError) || !strings.Contains(driverError.Error(), s.Error) {
		w.t.Fatalf("%+v: the error is %T: %v", s, err, err)
	}
}

func (w *world) do(s step) error {
	p := w.at[s.On]
	switch {
	case s.Exec != "":
		_, err := w.rows(p, s.Exec)
		return err
	case s.Query != "":
		return w.query(p, s)
	case s.Enable != "":
		return p.replica.Enable(background, s.Enable)
	case s.Apply != nil:
		_, err := p.replica.Apply(background, s.Apply.is.([]byte))
		return err
	case s.Pull != "":
		return w.pull(p, s)
	case s.PullAll != "":
		return w.pullAll(p, s)
	case s.Sync != nil:
		return crsql.Sync(background, w.at[s.Sync[0]].replica, w.at[s.Sync[1]].replica)
	case s.Copy != "":
		return w.copy(p, s)
	case s.Equal != nil:
		return w.equal(s.Equal)
	case s.Reopen:
		w.must(p.conn.Close())
		w.must(p.db.Close())
		w.open(s.On)
		return nil
	case s.Exact != "":
		return w.exact(p, s.Exact)
	}
	return errors.New("the script has a step that this runner does not know")
}

// rows runs a statement and reads all of its rows, as the driver gives them by default.
func (w *world) rows(p *place, query string) ([][]any, error) {
	rows, err := p.conn.QueryContext(background, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]any
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func (w *world) one(query, name string) any {
	rows, err := w.rows(w.at[name], query)
	w.must(err)
	return rows[0][0]
}

func (w *world) query(p *place, s step) error {
	got, err := w.rows(p, s.Query)
	if err != nil {
		return err
	}
	var want [][]any
	for _, row := range s.Rows {
		values := []any{}
		for _, v := range row {
			values = append(values, v.is)
		}
		want = append(want, values)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the rows are %#v", got)
	}
	return nil
}

// exchange pulls once; the report is nil when there was nothing to pull.
func (w *world) exchange(p *place, from string, maxBytes int64) (*crsql.Report, error) {
	vector, err := p.replica.Vector(background)
	if err != nil {
		return nil, err
	}
	blob, err := w.at[from].replica.Pull(background, vector, maxBytes)
	if err != nil || blob == nil {
		return nil, err
	}
	report, err := p.replica.Apply(background, blob)
	return &report, err
}

func (w *world) pull(p *place, s step) error {
	report, err := w.exchange(p, s.Pull, s.MaxBytes)
	if err != nil || s.Report == nil {
		return err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	var got, want map[string]any
	w.must(json.Unmarshal(text, &got))
	w.must(json.Unmarshal(s.Report, &want))
	if (got == nil) != (want == nil) {
		return fmt.Errorf("the report is %s", text)
	}
	for key := range want {
		if !reflect.DeepEqual(got[key], want[key]) {
			return fmt.Errorf("the report is %s", text)
		}
	}
	return nil
}

func (w *world) pullAll(p *place, s step) error {
	for {
		report, err := w.exchange(p, s.PullAll, s.MaxBytes)
		if err != nil || report == nil || !report.New {
			return err
		}
	}
}

// copy carries changes row by row, in one transaction of the receiver.
func (w *world) copy(p *place, s step) error {
	from := w.at[s.Copy].replica
	theirs, err := from.Vector(background)
	if err != nil {
		return err
	}
	ours, err := p.replica.Vector(background)
	if err != nil {
		return err
	}
	tx, err := p.conn.BeginTx(background, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	count := 0
	for c, err := range from.Changes(background, ours) {
		if err != nil {
			return err
		}
		count++
		_, err := tx.Exec("INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			c.Table, c.PK, c.CID, c.Val, c.ColVersion, c.DBVersion, c.SiteID, c.CL, c.Seq)
		if err != nil {
			return err
		}
	}
	var ok string
	if err := tx.QueryRow("SELECT crsql_seen(?)", string(theirs)).Scan(&ok); err != nil {
		return err
	}
	if count != s.Count {
		return fmt.Errorf("there are %d changes", count)
	}
	return tx.Commit()
}

func (w *world) equal(names []string) error {
	for _, name := range names[1:] {
		const digest = "SELECT crsql_digest()"
		if a, b := w.one(digest, names[0]), w.one(digest, name); a != b {
			return fmt.Errorf("the digests are %v and %v", a, b)
		}
	}
	return nil
}

func (w *world) exact(p *place, query string) error {
	rows, err := w.rows(p, query)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("there are no rows")
	}
	for _, row := range rows {
		n, whole := row[0].(int64)
		text, isText := row[1].(string)
		if !whole || !isText || n >= 1<<53 || strconv.FormatInt(n, 10) != text {
			return fmt.Errorf("the row is %#v", row)
		}
	}
	return nil
}
