// Package admin serves the agent's health and status over HTTP, to this host
// only.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Source is what the server shows. Both are called for each request, by several
// goroutines.
type Source struct {
	// Health returns why the agent is not well; none if it is.
	Health func() []string
	// Status returns what /status shows, as JSON. Its error is one of the query.
	Status func(query url.Values) (any, error)
	// History returns what /history shows, as JSON.
	History func() any
	// Metrics answers /metrics; nil: there are none.
	Metrics http.Handler
	Changes
}

const (
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	stopTimeout  = time.Second
	maxHeader    = 16 << 10
)

// Listen opens address: host:port, or unix:///path, which only this user may
// connect to.
func Listen(address string) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, "unix://")
	if !unix {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("admin address %s: %w; choose another by admin.listen", address, err)
		}
		return l, nil
	}
	if err := removeSocket(path); err != nil {
		return nil, fmt.Errorf("admin address %s: %w", address, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin address %s: %w", address, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("admin address %s: %w", address, err), l.Close())
	}
	return l, nil
}

// removeSocket removes what a killed agent left behind, unless somebody
// answers there.
func removeSocket(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSocket == 0 {
		return errors.New("there is a file of another kind; remove it")
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		return errors.Join(errors.New("another process answers there"), c.Close())
	}
	return os.Remove(path)
}

// Serve answers requests on l until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, s Source, log *slog.Logger) error {
	server := &http.Server{
		Handler: Handler(s), ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: readTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err := server.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	err := server.Serve(l)
	if stop() { // it failed by itself
		return fmt.Errorf("admin server on %s: %w", l.Addr(), err)
	}
	return <-stopped
}

// Handler returns the pages of the admin server.
func Handler(s Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		problems := s.Health()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if len(problems) == 0 {
			fmt.Fprintln(w, "ok")
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, strings.Join(problems, "\n"))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		out, err := s.Status(r.URL.Query())
		if err != nil {
			reply(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
		reply(w, http.StatusOK, out)
	})
	mux.HandleFunc("GET /history", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.History()) })
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	s.add(mux)
	return localOnly(mux)
}

// localOnly refuses requests that a web page of another site made a browser
// send (DNS rebinding): they name a host that is not this one.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		local := r.Context().Value(http.LocalAddrContextKey)
		if a, ok := local.(*net.UnixAddr); ok && a != nil {
			h.ServeHTTP(w, r)
			return
		}
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask for localhost", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
