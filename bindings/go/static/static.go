// Package static links crsql into the program, which then needs no library file:
//
//	import _ "github.com/crsql/crsql/bindings/go/static"
//
// Every connection that go-sqlite3 opens in the program has crsql from then on, whatever driver's
// name it was opened by. The linker needs libcrsql.a: it looks in the folder lib beside this one,
// which the archives of a release have, and where CGO_LDFLAGS says (-L/the/folder).
package static

/*
#cgo LDFLAGS: -L${SRCDIR}/../lib
#cgo linux LDFLAGS: -l:libcrsql.a -lgcc_s -lutil -lrt -lpthread -lm -ldl
#cgo !linux LDFLAGS: -lcrsql -lm

// go-sqlite3 brings SQLite, but no header that other packages could include.
int sqlite3_auto_extension(void (*entry)(void));
int sqlite3_crsql_auto(void *db, char **error, const void *api);

static int crsql_register(void) {
	return sqlite3_auto_extension((void (*)(void))sqlite3_crsql_auto);
}
*/
import "C"

import (
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"
)

func init() {
	if code := C.crsql_register(); code != 0 {
		panic(fmt.Sprintf("crsql: sqlite3_auto_extension failed: %v", sqlite3.ErrNo(code)))
	}
}
