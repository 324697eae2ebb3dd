package graphsim

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultTop = 100
	maxTop     = 999
	maxBody    = 4 << 20
)

// options reads the query of r, which may hold the known names, once each.
func options(r *http.Request, known ...string) (map[string]string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, breach("query %q cannot be read: %v", r.URL.RawQuery, err)
	}
	opts := make(map[string]string, len(query))
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, breach("query option %q is not supported here", name)
		}
		if len(values) > 1 {
			return nil, breach("query option %q is given %d times", name, len(values))
		}
		opts[name] = values[0]
	}
	return opts, nil
}

// selection reads $select; every field must be one that known names.
func selection(opts map[string]string, known func(field string) bool, def ...string) ([]string, error) {
	list, given := opts["$select"]
	if !given {
		return def, nil
	}
	fields := strings.Split(list, ",")
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
		if !known(fields[i]) {
			return nil, breach("$select of unknown property %q", f)
		}
	}
	return fields, nil
}

func top(opts map[string]string) (int, error) {
	given, ok := opts["$top"]
	if !ok {
		return defaultTop, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > maxTop {
		return 0, breach("$top must be 1 to %d, not %q", maxTop, given)
	}
	return n, nil
}

// wantsCount reads $count.
func wantsCount(opts map[string]string) (bool, error) {
	switch opts["$count"] {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, breach("$count must be true or false, not %q", opts["$count"])
}

// advanced refuses a query that Graph serves from its index when the header
// that admits as much is not there.
func advanced(r *http.Request, what string) error {
	if !strings.EqualFold(r.Header.Get("ConsistencyLevel"), "eventual") {
		return breach("%s needs the header ConsistencyLevel: eventual", what)
	}
	return nil
}

// checkPriority reads the header by which a caller says what may wait.
func checkPriority(r *http.Request) error {
	const header = "x-ms-throttle-priority"
	given := r.Header.Values(header)
	if len(given) > 1 || len(given) == 1 && !slices.Contains([]string{"low", "normal", "high"}, given[0]) {
		return breach("header %s: %s is none of low, normal and high", header, strings.Join(given, ", "))
	}
	return nil
}

// idsIn reads "id in ('a','b')" or "id eq 'a' or id eq 'b'".
func idsIn(filter string) ([]string, error) {
	if list, ok := strings.CutPrefix(filter, "id in ("); ok && strings.HasSuffix(list, ")") {
		return literals(strings.Split(strings.TrimSuffix(list, ")"), ","))
	}
	return idsEqual(filter)
}

func idsEqual(filter string) ([]string, error) {
	parts := strings.Split(filter, " or ")
	for i, p := range parts {
		value, ok := strings.CutPrefix(strings.TrimSpace(p), "id eq ")
		if !ok {
			return nil, breach("$filter %q: only id can be filtered by here", filter)
		}
		parts[i] = value
	}
	return literals(parts)
}

func literals(parts []string) ([]string, error) {
	var values []string
	for _, p := range parts {
		v, err := literal(p)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// literal reads a string of OData, in which a quote is doubled.
func literal(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", breach("%s must stand in single quotes", s)
	}
	inner := s[1 : len(s)-1]
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return "", breach("%s holds a quote that is not doubled", s)
	}
	return strings.ReplaceAll(inner, "''", "'"), nil
}

// body reads a JSON body that may hold the fields of into and no other.
func body(r *http.Request, into any) error {
	if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return breach("content type %q is not application/json", ct)
	}
	text, err := bodyText(r)
	if err != nil {
		return err
	}
	if err := decodeStrictly(text, into); err != nil {
		return breach("body: %v", err)
	}
	return nil
}

func decodeStrictly(text io.Reader, into any) error {
	dec := json.NewDecoder(io.LimitReader(text, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("more than one JSON value")
	}
	return nil
}

// bodyText unpacks what the Graph SDK always packs.
func bodyText(r *http.Request) (io.Reader, error) {
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
		return r.Body, nil
	case "gzip":
		text, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, breach("body is said to be gzip and is not: %v", err)
		}
		return text, nil
	default:
		return nil, &problem{status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType", message: "content encoding " + enc, breach: true}
	}
}

// base is the address that links begin with.
func (s *Server) base(r *http.Request) string {
	if s.opts.BaseURL != "" {
		return strings.TrimSuffix(s.opts.BaseURL, "/")
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
