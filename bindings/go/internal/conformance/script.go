// Package conformance runs bindings/conformance/script.json, which all bindings run.
package conformance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type script struct {
	Version int
	Cases   []struct {
		Name     string
		Replicas []string
		Setup    []step
		Steps    []step
	}
}

// step is one line of the script; its README says what each key means.
type step struct {
	On       string
	Exec     string
	Query    string
	Rows     [][]value
	Enable   string
	Apply    *value
	Pull     string
	PullAll  string `json:"pull_all"`
	MaxBytes int64  `json:"max_bytes"`
	Report   json.RawMessage
	Sync     []string
	Copy     string
	Count    int
	Equal    []string
	Reopen   bool
	Exact    string
	Error    string
}

// value is a value of SQLite's as go-sqlite3 gives it: nil, string, int64, float64 or []byte.
type value struct{ is any }

func (v *value) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte("{")) {
		var named struct {
			Real *float64
			Blob *string
		}
		if err := json.Unmarshal(text, &named); err != nil {
			return err
		}
		if named.Real != nil {
			v.is = *named.Real
			return nil
		}
		if named.Blob == nil {
			return fmt.Errorf("%s is no value of the script", text)
		}
		blob, err := hex.DecodeString(*named.Blob)
		v.is = blob
		return err
	}
	if bytes.HasPrefix(text, []byte(`"`)) || bytes.Equal(text, []byte("null")) {
		return json.Unmarshal(text, &v.is)
	}
	var whole int64
	err := json.Unmarshal(text, &whole)
	v.is = whole
	return err
}

func read(path string) (script, error) {
	var s script
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	// A key that this runner does not know is a step that it would leave out.
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version != 1 || len(s.Cases) == 0 {
		return s, fmt.Errorf("%s: not version 1, or without cases", path)
	}
	return s, nil
}
