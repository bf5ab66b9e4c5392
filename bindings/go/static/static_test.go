package static

import (
	"database/sql"
	"os"
	"testing"

	_ "github.com/crsql/crsql/bindings/go"
	"github.com/crsql/crsql/bindings/go/internal/conformance"
)

// A library file that is not there would be asked for if anything but the linked one were used.
func TestMain(m *testing.M) {
	os.Setenv("CRSQL_LIBRARY", "/there/is/no/such/file")
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	for _, name := range []string{"crsql", "sqlite3"} {
		conformance.Run(t, "../../conformance/script.json", conformance.Driver{
			Name: `static, sql.Open("` + name + `")`,
			Open: func(file string) (*sql.DB, error) { return sql.Open(name, file) },
		})
	}
}
