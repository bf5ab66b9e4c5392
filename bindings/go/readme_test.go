package crsql_test

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const module = "github.com/crsql/crsql/bindings/go"

type block struct{ lang, name, text string }

func blocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("README.md")
	must(t, err)
	fence := regexp.MustCompile("(?ms)^```(\\w+) ?(\\S*)\n(.*?)^```$")
	var all []block
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], m[2], m[3]})
	}
	if len(all) < 10 {
		t.Fatalf("the README has only %d blocks", len(all))
	}
	return all
}

// TestReadme runs every block of the README as a reader would: in a module of its own, with this
// one got from a module proxy. The folder CRSQL_TEST_FILES stands for /path/to: it holds the
// library, the static library and the archive, as test.sh puts them there.
func TestReadme(t *testing.T) {
	files := os.Getenv("CRSQL_TEST_FILES")
	if files == "" {
		fmt.Println("SKIPPED: the README's blocks: CRSQL_TEST_FILES is not set; run test.sh")
		t.Skip()
	}
	folder := t.TempDir()
	shell := userShell(t, folder)
	var said string // by the last block of commands; what parts say is added to them
	var parts []string
	ofParts := false
	for i, b := range blocks(t) {
		switch {
		case b.lang == "go" && b.name != "":
			must(t, os.WriteFile(filepath.Join(folder, b.name), []byte(b.text), 0o600))
		case b.lang == "go":
			parts = append(parts, b.text)
			ofParts = true
		case b.lang == "sh":
			ofParts = false
			said = shell(strings.ReplaceAll(b.text, "/path/to", files))
		case b.lang == "text" && !ofParts:
			if said != b.text {
				t.Fatalf("block %d says %q", i, said)
			}
		case b.lang == "text":
			parts = append(parts, "// says\n"+b.text)
		default:
			t.Fatalf("block %d: no way to run %q", i, b.lang)
		}
	}
	runParts(t, folder, files, parts)
}

// runParts runs the blocks that are parts of a function, each in one of its own, in order.
func runParts(t *testing.T, folder, files string, parts []string) {
	t.Helper()
	var program, want strings.Builder
	program.WriteString(partsHead)
	count := 0
	for _, part := range parts {
		if output, is := strings.CutPrefix(part, "// says\n"); is {
			want.WriteString(output)
			continue
		}
		end := "return nil\n"
		if strings.Contains(lastLine(part), "return ") {
			end = ""
		}
		fmt.Fprintf(&program, "func part%d(db *sql.DB, a, b *crsql.Replica) error {\n%s%s}\n\n",
			count, part, end)
		count++
	}
	program.WriteString("var parts = []func(*sql.DB, *crsql.Replica, *crsql.Replica) error{\n")
	for i := range count {
		fmt.Fprintf(&program, "part%d,", i)
	}
	program.WriteString("}\n")
	for _, name := range []string{"main.go", "static.go"} {
		must(t, os.Remove(filepath.Join(folder, name)))
	}
	must(t, os.WriteFile(filepath.Join(folder, "parts.go"), []byte(program.String()), 0o600))
	shell := userShell(t, folder)
	if got := shell("CRSQL_LIBRARY=" + files + "/crsql.so go run ."); got != want.String() {
		t.Fatalf("the parts say %q, not %q", got, want.String())
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

const partsHead = `package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	crsql "github.com/crsql/crsql/bindings/go"
	sqlite3 "github.com/mattn/go-sqlite3"
)

var ctx = context.Background()

func open(file string) (*sql.DB, *crsql.Replica) {
	db, err := sql.Open("crsql", file)
	if err == nil {
		_, err = db.Exec("CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")
	}
	if err != nil {
		log.Fatal(err)
	}
	r, err := crsql.NewReplica(ctx, db)
	if err == nil {
		err = r.Enable(ctx, "note")
	}
	if err != nil {
		log.Fatal(err)
	}
	return db, r
}

func main() {
	db, a := open("a.db")
	_, b := open("b.db")
	for _, part := range parts {
		if err := part(db, a, b); err != nil {
			log.Fatal(err)
		}
	}
}

var _, _, _ = errors.As, fmt.Println, time.Second
var _ sqlite3.Error

`

// userShell gives what runs commands as a user with an empty environment of ours would, who gets
// this module from a proxy. What the commands print is given back.
func userShell(t *testing.T, folder string) func(string) string {
	t.Helper()
	proxy := "file://" + publish(t) + "," + goEnv(t, "GOPROXY")
	return func(commands string) string {
		c := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		c.Dir = folder
		for _, pair := range os.Environ() {
			if !strings.HasPrefix(pair, "CRSQL_") && !strings.HasPrefix(pair, "CGO_") {
				c.Env = append(c.Env, pair)
			}
		}
		c.Env = append(c.Env, "GOPROXY="+proxy, "GONOSUMDB="+module, "GOFLAGS=-modcacherw",
			"GOWORK=off")
		var complaints strings.Builder
		c.Stderr = &complaints
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s%s", commands, err, out, &complaints)
		}
		return string(out)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// One version for the whole run, in the cache of modules until the end of the test.
var version = "v0.0.0-" + time.Now().UTC().Format("20060102150405") + "-000000000000"

// publish makes a module proxy in a folder, which has this module only.
func publish(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	at := filepath.Join(root, filepath.FromSlash(module), "@v")
	must(t, os.MkdirAll(at, 0o700))
	mod, err := os.ReadFile("go.mod")
	must(t, err)
	info := fmt.Sprintf(`{"Version": %q, "Time": %q}`, version, time.Now().Format(time.RFC3339))
	for name, text := range map[string]string{
		"list": version + "\n", version + ".info": info, version + ".mod": string(mod),
	} {
		must(t, os.WriteFile(filepath.Join(at, name), []byte(text), 0o600))
	}
	file, err := os.Create(filepath.Join(at, version+".zip"))
	must(t, err)
	archive := zip.NewWriter(file)
	here := os.DirFS(".")
	must(t, fs.WalkDir(here, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(here, path)
		if err != nil {
			return err
		}
		into, err := archive.Create(module + "@" + version + "/" + path)
		if err == nil {
			_, err = into.Write(text)
		}
		return err
	}))
	must(t, archive.Close())
	must(t, file.Close())
	t.Cleanup(func() { forget(t) })
	return root
}

// forget takes the version out of the cache of modules.
func forget(t *testing.T) {
	cache := goEnv(t, "GOMODCACHE")
	must(t, os.RemoveAll(filepath.Join(cache, filepath.FromSlash(module)+"@"+version)))
	must(t, os.RemoveAll(filepath.Join(cache, "cache", "download", filepath.FromSlash(module))))
}
