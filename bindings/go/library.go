package crsql

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
		if isFile(beside) == nil {
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
	if err := isFile(whole); err != nil {
		return "", fmt.Errorf("crsql: there is no library at %s, which %s names: %w", whole, source,
			err)
	}
	return whole, nil
}

// isFile fails unless an ordinary file is there, no folder and no device.
func isFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("that is no ordinary file")
	}
	return err
}

// forSQLite is the file as SQLite is to be told of it. SQLite tries the name, then the name with
// the system's suffix, and keeps what went wrong with the second: that has to be the file itself.
func forSQLite(file string) string {
	return strings.TrimSuffix(file, filepath.Ext(fileName()))
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
