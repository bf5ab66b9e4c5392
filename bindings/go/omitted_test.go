//go:build sqlite_omit_load_extension

package crsql_test

import "testing"

func TestLoadingIsLeftOut(t *testing.T) {
	says(t, newPool(t, "crsql", ":memory:").Ping(), "tag sqlite_omit_load_extension",
		"build it without that tag")
}
