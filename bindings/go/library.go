package crsql

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Library gives the library's path: the file that the environment variable CRSQL_LIBRARY names,
// else the one beside the executable, else the bare name, which the system's loader looks for in
// its own path.
func Library() string {
	if named := os.Getenv("CRSQL_LIBRARY"); named != "" {
		return named
	}
	if program, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(program), fileName())
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return fileName()
}

// resolve gives the file to load for what the caller named. A file that is named must be there; as
// a whole path, since the loader looks for a bare name elsewhere than in the current folder.
func resolve(path string) (string, error) {
	source := "the path that was given"
	if path == "" {
		path, source = Library(), "the environment variable CRSQL_LIBRARY"
		if path == fileName() && os.Getenv("CRSQL_LIBRARY") == "" {
			return path, nil
		}
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("crsql: %w", err)
	}
	if _, err := os.Stat(whole); err != nil {
		return "", fmt.Errorf("crsql: there is no library at %s, which %s names: %w", whole, source,
			err)
	}
	return whole, nil
}

// fileName is what the library is called on this system.
func fileName() string {
	switch runtime.GOOS {
	case "windows":
		return "crsql.dll"
	case "darwin":
		return "crsql.dylib"
	default:
		return "crsql.so"
	}
}
