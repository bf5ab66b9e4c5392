package crsql_test

import (
	"database/sql"
	"testing"

	crsql "github.com/crsql/crsql/bindings/go"
	"github.com/crsql/crsql/bindings/go/internal/conformance"
)

const script = "../conformance/script.json"

func TestConformance(t *testing.T) {
	named := func(name string) func(string) (*sql.DB, error) {
		return func(file string) (*sql.DB, error) { return sql.Open(name, file) }
	}
	for _, driver := range []conformance.Driver{
		{Name: `sql.Open("crsql")`, Open: named("crsql")},
		{Name: `sql.Open("crsql"), one *sql.Conn`, Open: named("crsql"), OneConn: true},
		{Name: `sql.Open("sqlite3"), one *sql.Conn`, Open: named("sqlite3"), OneConn: true},
		{Name: "crsql.Open(file)", Open: func(file string) (*sql.DB, error) {
			return crsql.Open(file, crsql.Options{Library: crsql.Library()})
		}},
	} {
		conformance.Run(t, script, driver)
	}
}
