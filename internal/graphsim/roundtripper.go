package graphsim

import (
	"bytes"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// RoundTripper calls h without a socket, in the caller's goroutine, so that it
// works inside a synctest bubble. A handler that outlasts the request's context
// ends in the context's error, and one that panics with http.ErrAbortHandler in
// "connection reset by peer".
func RoundTripper(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	w := newRecorder()
	err := serveOnce(p.handler, w, arriving(req))
	if late := req.Context().Err(); late != nil {
		return nil, late
	}
	if err != nil {
		return nil, err
	}
	return w.response(req), nil
}

// arriving is req as a server would see it.
func arriving(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	r.Host = orDefault(r.Host, r.URL.Host)
	r.RemoteAddr = "192.0.2.1:1234" // of the range kept for examples
	r.RequestURI = r.URL.RequestURI()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	if r.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: r.URL.Hostname()}
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return r
}

func serveOnce(h http.Handler, w *recorder, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// A recorder is a ResponseWriter that keeps what is written.
type recorder struct {
	header http.Header
	status int // 0: nothing written yet
	sent   http.Header
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.sent = maps.Clone(w.header)
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 && w.header.Get("Content-Type") == "" {
		w.header.Set("Content-Type", http.DetectContentType(b))
	}
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) response(req *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	w.sent.Set("Content-Length", strconv.Itoa(w.body.Len()))
	return &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        w.sent,
		Body:          io.NopCloser(bytes.NewReader(w.body.Bytes())),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}
}

// A statusWriter remembers the status that went out; 0: none did.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
