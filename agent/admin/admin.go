// Package admin serves the agent's health and status over HTTP: to this host, or
// to those whom a Guard lets in.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Source is what the server shows. All are called for each request, by several
// goroutines.
type Source struct {
	// Health returns why the agent is not well; none if it is.
	Health func() []string
	// Ready returns why the agent does not do its work; none if it does.
	Ready func() []string
	// Stuck returns why only a restart can help; none if it is alive.
	Stuck func() []string
	// Status returns what /status shows, as JSON. Its error is one of the query.
	Status func(query url.Values) (any, error)
	// History returns what /history shows, as JSON.
	History func() any
	// Follow returns what /events sends, one JSON object in a line each time, until
	// ctx ends. nil: there are no events.
	Follow func(context.Context) (<-chan []byte, error)
	// Page returns what the page at / shows, by the query of its address, which may
	// be wrong. nil: there is no page.
	Page func(query url.Values) (*Page, error)
	// Profiles has Go's profiles served under /debug/pprof/.
	Profiles bool
	// Metrics answers /metrics; nil: there are none.
	Metrics http.Handler
	Guard   *Guard // nil: the address is one that only this host can reach
	Changes
}

const (
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	stopTimeout  = time.Second
	maxHeader    = 16 << 10
	// maxConnections bounds the open ones; what is beyond waits to be accepted.
	// Log files and Kafka need descriptors, too.
	maxConnections = 128
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
	l = netutil.LimitListener(l, maxConnections)
	if s.Guard.encrypts() {
		// The bounds for reading a request hold for the handshake, too.
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.Guard.config(log) }})
	}
	closing := make(chan struct{})
	server := &http.Server{
		Handler: handler(s, closing, log), ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: readTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(func() { close(closing) }) // those who follow events never end by themselves
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
func Handler(s Source) http.Handler { return handler(s, nil, slog.New(slog.DiscardHandler)) }

// handler is Handler for a server that says when it closes.
func handler(s Source, closing <-chan struct{}, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", verdict(s.Health))
	mux.HandleFunc("GET /readyz", verdict(s.Ready))
	mux.HandleFunc("GET /livez", verdict(s.Stuck))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		out, err := s.Status(r.URL.Query())
		if err != nil {
			reply(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
		reply(w, http.StatusOK, out)
	})
	mux.HandleFunc("GET /history", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.History()) })
	followers := make(seats, eventClients)
	if s.Follow != nil {
		mux.HandleFunc("GET /events", events(s.Follow, followers, closing))
	}
	if s.Page != nil {
		addPage(mux, s.Page)
		mux.HandleFunc("GET /live", live(s.Page, followers, closing))
	}
	if s.Profiles {
		profiles(mux)
	}
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	s.add(mux)
	return sameSite(s.Guard.admits(bounded(mux), s.Token, log), s.Guard.open())
}

// verdict answers 200, or 503 with the reasons, one a line.
func verdict(reasons func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		why := reasons()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if len(why) == 0 {
			fmt.Fprintln(w, "ok")
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, strings.Join(why, "\n"))
	}
}

// profileTimeout bounds a profile, which takes the seconds that it is asked for.
const profileTimeout = 2 * time.Minute

// profiles serves Go's profiles. None holds what is in files or in messages.
func profiles(mux *http.ServeMux) {
	long := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			control, end := http.NewResponseController(w), time.Now().Add(profileTimeout)
			if err := errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end)); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("GET /debug/pprof/", long(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", long(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/profile", long(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", long(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", long(pprof.Trace))
}

// requestsAtOnce bounds the requests that are answered at the same time, those
// that follow events included.
const requestsAtOnce = 64

// bounded refuses what is too much.
func bounded(h http.Handler) http.Handler {
	places := make(chan struct{}, requestsAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		}
	})
}

// sameSite refuses requests that a web page of another site made a browser send.
// Where nobody is asked who he is, they may name only this host (DNS rebinding);
// else a page under another name knows no token, and the browser shows it none.
func sameSite(h http.Handler, localOnly bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); ok && a != nil {
			h.ServeHTTP(w, r)
			return
		}
		if localOnly && !namesThisHost(r.Host) {
			http.Error(w, "ask for localhost", http.StatusForbidden)
			return
		}
		own := "http://" + r.Host
		if r.TLS != nil {
			own = "https://" + r.Host
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != own || r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "not from a page of another site", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// namesThisHost reports whether a Host header is localhost or a loopback address.
func namesThisHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
