//go:build sqlite_omit_load_extension

package crsql

// Whether go-sqlite3 was built without the loading of extensions.
const omitted = true
