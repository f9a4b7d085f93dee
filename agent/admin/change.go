package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// RewindRequest says which file is to be set back, and to where: by one of the
// last three.
type RewindRequest struct {
	FileRequest
	To        *int64 `json:"to,omitempty"`      // offset in raw bytes at which a line begins
	Line      int64  `json:"to_line,omitempty"` // counted from 1
	Beginning bool   `json:"beginning,omitempty"`
}

// FileRequest names a file.
type FileRequest struct {
	File  string `json:"file,omitempty"`       // id of 16 hexadecimal digits, or absolute path
	Bytes []byte `json:"file_bytes,omitempty"` // the same in base64, for paths that are no UTF-8
}

// NewFileRequest names a file by id or absolute path.
func NewFileRequest(file string) FileRequest {
	if strings.ToValidUTF8(file, "") != file {
		return FileRequest{Bytes: []byte(file)}
	}
	return FileRequest{File: file}
}

// Name returns what names the file.
func (r FileRequest) Name() string {
	if len(r.Bytes) > 0 {
		return string(r.Bytes)
	}
	return r.File
}

// Changes are the calls that change the agent's state, or tell of files that
// it may read and the caller may not: whoever calls shows that the state
// directory is open to him, by the token that lies there. Their errors are told
// to the caller.
type Changes struct {
	Token  string // none: all are refused
	Why    func(ctx context.Context, file string) (any, error)
	Rewind func(context.Context, RewindRequest) (any, error)
	Forget func(context.Context, FileRequest) (any, error)
	// Reload reads the configuration again and applies it.
	Reload func(context.Context) (any, error)
}

// maxBody bounds a request: a path has 4096 bytes at most.
const maxBody = 64 << 10

// add adds the calls to mux.
func (c Changes) add(mux *http.ServeMux) {
	mux.HandleFunc("GET /why", c.guarded(func(r *http.Request) (any, error) {
		file := r.URL.Query().Get("file")
		if file == "" {
			return nil, errors.New("name the file: /why?file=/var/log/app.log")
		}
		return c.Why(r.Context(), file)
	}))
	mux.HandleFunc("POST /state/rewind", c.guarded(func(r *http.Request) (any, error) {
		var q RewindRequest
		if err := body(r, &q); err != nil {
			return nil, err
		}
		return c.Rewind(r.Context(), q)
	}))
	mux.HandleFunc("POST /state/forget", c.guarded(func(r *http.Request) (any, error) {
		var q FileRequest
		if err := body(r, &q); err != nil {
			return nil, err
		}
		return c.Forget(r.Context(), q)
	}))
	mux.HandleFunc("POST /reload", c.guarded(func(r *http.Request) (any, error) { return c.Reload(r.Context()) }))
}

// failure is the answer to a call that failed.
type failure struct {
	Error string `json:"error"`
}

// guarded answers those who have the token, and no web page.
func (c Changes) guarded(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !ok || c.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(c.Token)) != 1:
			reply(w, http.StatusUnauthorized, failure{"send the token of " + accessName + " in the state directory, as Authorization: Bearer TOKEN"})
			return
		case r.Header.Get("Origin") != "":
			reply(w, http.StatusForbidden, failure{"not from a web page"})
			return
		}
		out, err := answer(r)
		if err != nil {
			reply(w, http.StatusConflict, failure{err.Error()})
			return
		}
		reply(w, http.StatusOK, out)
	}
}

func reply(w http.ResponseWriter, code int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(b, '\n')) //nolint:errcheck // the client has gone
}

// body decodes a JSON object, strictly.
func body(r *http.Request, to any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("send a JSON object, with Content-Type: application/json")
	}
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if d.More() {
		return errors.New("body: more than one JSON object")
	}
	return nil
}
